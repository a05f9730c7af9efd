//! Scores of finished pictures: what is published, and what can be counted by hand.

use image::{GrayImage, Luma, Rgb, RgbImage};

use limekiln_eval::fidelity::{Lab, Truth, delta_e, lab};
use limekiln_rooms::score::Error;

const SIDE: u32 = 120;
const BEFORE: [u8; 3] = [200, 40, 40];
const AFTER: [u8; 3] = [50, 90, 200];

fn inside(x: u32, y: u32) -> bool {
    (50..70).contains(&x) && (50..70).contains(&y)
}

fn square() -> GrayImage {
    GrayImage::from_fn(SIDE, SIDE, |x, y| {
        Luma([if inside(x, y) { 255 } else { 0 }])
    })
}

/// A square of this color on gray, all of it with texture.
fn picture(color: [u8; 3]) -> RgbImage {
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let texture = ((x * 7 + y * 5) % 11) as u8;
        Rgb(if inside(x, y) { color } else { [120; 3] }.map(|value| value + texture))
    })
}

fn truth() -> Truth {
    Truth::new(picture(BEFORE), &picture(AFTER), &square(), &square()).expect("sizes that agree")
}

#[test]
fn the_true_edit_scores_best() {
    let score = truth().score(&picture(AFTER), Some(&square())).unwrap();
    assert_eq!(
        (
            score.delta_e_median,
            score.delta_e_mean,
            score.ring,
            score.edge
        ),
        (0.0, 0.0, 0.0, 0.0)
    );
    assert!((score.texture.unwrap() - 1.0).abs() < 1e-9);
    assert_eq!(
        (score.boundary_f1, score.old_hue, score.stray_matte),
        (Some(1.0), Some(0.0), Some(0.0))
    );
    assert_eq!(score.changed_outside, 0);
}

#[test]
fn the_input_itself_scores_as_no_edit() {
    let score = truth().score(&picture(BEFORE), None).unwrap();
    assert!(
        score.delta_e_median > 30.0 && score.ring == 0.0,
        "{score:?}"
    );
    assert!(score.texture.unwrap() > 0.99, "the texture is all there");
    assert_eq!(
        (score.boundary_f1, score.stray_matte, score.changed_outside),
        (None, None, 0)
    );
}

#[test]
fn a_rim_of_the_old_color_is_counted() {
    let mut result = picture(AFTER);
    // A rim of two pixels: 22 * 22 ... 24 * 24 around the square of 20.
    for (x, y, pixel) in result.enumerate_pixels_mut() {
        if (48..72).contains(&x) && (48..72).contains(&y) && !inside(x, y) {
            *pixel = Rgb(BEFORE);
        }
    }
    let score = truth().score(&result, None).unwrap();
    let rim = f64::from(24 * 24 - 20 * 20);
    let share = score.old_hue.unwrap();
    // The band of four pixels has round corners.
    assert!(
        (share - rim / f64::from(28 * 28 - 20 * 20 - 4 * 3)).abs() < 0.03,
        "{share}"
    );
    assert_eq!(score.changed_outside, rim as u64);
    assert!(
        score.edge > 3.0 && score.ring > 0.5 && score.delta_e_median == 0.0,
        "{score:?}"
    );
}

#[test]
fn a_matte_that_strays_is_counted() {
    let mut matte = square();
    for x in 90..110 {
        for y in 90..110 {
            matte.put_pixel(x, y, Luma([255]));
        }
    }
    let mut result = picture(AFTER);
    result.put_pixel(100, 100, Rgb([0; 3]));
    result.put_pixel(2, 2, Rgb([0; 3]));
    let score = truth().score(&result, Some(&matte)).unwrap();
    assert_eq!(score.stray_matte, Some(0.5));
    assert_eq!(score.changed_outside, 1, "where the matte is 0");
    assert!(score.boundary_f1.unwrap() < 0.75);
}

#[test]
fn sizes_and_empty_masks_are_refused() {
    let empty = GrayImage::new(SIDE, SIDE);
    let new = |truth: &RgbImage, colored: &GrayImage| {
        Truth::new(picture(BEFORE), truth, &square(), colored).map(drop)
    };
    assert_eq!(new(&picture(AFTER), &empty), Err(Error::Empty));
    assert_eq!(
        new(&RgbImage::new(4, 4), &square()),
        Err(Error::Size((SIDE, SIDE), (4, 4)))
    );
    let wrong = truth().score(&RgbImage::new(4, 4), None);
    assert_eq!(wrong, Err(Error::Size((SIDE, SIDE), (4, 4))));
}

/// Pairs from Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula" (2005), table 1: those that tell wrong
/// implementations apart (hues across 0 degrees, near gray) among them.
#[test]
fn ciede2000_is_as_published() {
    #[rustfmt::skip]
    let pairs: [([f32; 3], [f32; 3], f64); 14] = [
        ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
        ([50.0, 3.1571, -77.2803], [50.0, 0.0, -82.7485], 2.8615),
        ([50.0, -1.3802, -84.2814], [50.0, 0.0, -82.7485], 1.0000),
        ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
        ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0009], 7.1792),
        ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0011], 7.2195),
        ([50.0, -0.001, 2.49], [50.0, 0.0009, -2.49], 4.8045),
        ([50.0, 2.5, 0.0], [50.0, 0.0, -2.5], 4.3065),
        ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
        ([50.0, 2.5, 0.0], [56.0, -27.0, -3.0], 31.9030),
        ([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644),
        ([22.7233, 20.0904, -46.694], [23.0331, 14.973, -42.5619], 2.0373),
        ([90.9257, -0.5406, -0.9208], [88.6381, -0.8985, -0.7239], 1.5381),
        ([2.0776, 0.0795, -1.135], [0.9033, -0.0636, -0.5514], 0.9082),
    ];
    for (a, b, known) in pairs {
        let color = |[l, a, b]: [f32; 3]| Lab::new(l, a, b);
        let found = delta_e(color(a), color(b));
        assert!(
            (found - known).abs() < 1.5e-3,
            "{a:?} {b:?}: {found}, not {known}"
        );
    }
}

/// As scikit-image's `rgb2lab` has them.
#[test]
fn lab_is_that_of_srgb_under_d65() {
    let red = lab([255, 0, 0]);
    for (found, known) in [(red.l, 53.24), (red.a, 80.09), (red.b, 67.20)] {
        assert!((found - known).abs() < 0.05, "{red:?}");
    }
}

#[test]
fn the_true_color_is_that_of_the_flat_part_of_wide_and_narrow_objects() {
    for (from, to) in [(20, 100), (50, 70), (58, 62)] {
        let within = |x: u32, y: u32| (from..to).contains(&x) && (20..100).contains(&y);
        let drawn = |color: [u8; 3]| {
            RgbImage::from_fn(SIDE, SIDE, |x, y| {
                let grain = ((x * 7 + y * 5) % 3) as u8;
                Rgb(if within(x, y) { color } else { [120; 3] }.map(|value| value + grain))
            })
        };
        let mask = GrayImage::from_fn(SIDE, SIDE, |x, y| {
            Luma([if within(x, y) { 255 } else { 0 }])
        });
        let truth = Truth::new(drawn(BEFORE), &drawn(AFTER), &mask, &mask).unwrap();
        let color = truth.color().unwrap();
        let want = lab(AFTER.map(|value| value + 1));
        let found = color.lab();
        let found = Lab::new(found.l, found.a, found.b);
        assert!(delta_e(found, want) < 1.0, "{from}..{to}: {}", color.hex());
        let (median, most) = truth.apart(&drawn(AFTER), color).unwrap();
        assert!(median < 1.0 && most < 2.0, "{from}..{to}: {median}, {most}");
        assert!(truth.apart(&drawn(BEFORE), color).unwrap().0 > 20.0);
    }
}
