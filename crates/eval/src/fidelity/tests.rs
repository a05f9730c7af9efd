use image::{GrayImage, Luma, Rgb, RgbImage};

use super::*;

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
    Truth::new(picture(BEFORE), &picture(AFTER), &square(), &square()).unwrap()
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
        score.edge > 5.0 && score.ring > 0.5 && score.delta_e_median == 0.0,
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

#[test]
fn medians_are_of_the_middle() {
    assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    assert_eq!(median(&mut []), 0.0);
}
