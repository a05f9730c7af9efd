//! What an edit found, as pictures for people.

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};

/// Colors of a heat map at equal distances, from the least value to the greatest.
const HEAT: [[u8; 3]; 6] = [
    [0, 0, 4],
    [66, 10, 104],
    [147, 38, 103],
    [221, 81, 58],
    [252, 165, 10],
    [252, 255, 164],
];
const OUTLINE: Rgb<u8> = Rgb([255, 225, 0]);

/// Each segment of a `side` x `side` grid in a color of its own, stretched to `width` x `height`.
pub fn segments<L: Copy + Into<u32>>(
    labels: &[L],
    side: usize,
    (width, height): (u32, u32),
) -> RgbImage {
    let colors: Vec<Rgb<u8>> = labels
        .iter()
        .map(|&label| segment_color(label.into()))
        .collect();
    RgbImage::from_fn(width, height, |x, y| {
        let color = colors.get(nearest(y, height, side) * side + nearest(x, width, side));
        color.copied().unwrap_or(Rgb([0; 3]))
    })
}

/// `side` x `side` values as heat, the least black and the greatest bright, stretched to `width` x `height`.
pub fn heat(values: &[f32], side: usize, (width, height): (u32, u32)) -> RgbImage {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let span = if high > low { high - low } else { 1.0 };
    let map = ImageBuffer::<Luma<f32>, Vec<f32>>::from_fn(side as u32, side as u32, |x, y| {
        Luma([values
            .get(y as usize * side + x as usize)
            .map_or(0.0, |value| (value - low) / span)])
    });
    let map = imageops::resize(&map, width, height, FilterType::Triangle);
    RgbImage::from_fn(width, height, |x, y| heat_color(map.get_pixel(x, y).0[0]))
}

/// `picture` with everything outside `roi` (same size, 0 or 255) faded, and the border of `roi` drawn.
pub fn overlay(picture: &RgbImage, roi: &GrayImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let inside = |x: u32, y: u32| roi.get_pixel(x, y).0[0] >= 128;
    let reach = (width.max(height) / 256).max(1);
    let mut out = picture.clone();
    for (x, y, pixel) in out.enumerate_pixels_mut() {
        if !inside(x, y) {
            let [r, g, b] = pixel.0.map(u32::from);
            let gray = ((r * 299 + g * 587 + b * 114) / 1000 + 2 * 128) / 3;
            *pixel = Rgb([gray as u8; 3]);
        } else {
            let (left, top) = (x.saturating_sub(reach), y.saturating_sub(reach));
            let (right, bottom) = ((x + reach).min(width - 1), (y + reach).min(height - 1));
            if ![(left, y), (right, y), (x, top), (x, bottom)]
                .into_iter()
                .all(|(x, y)| inside(x, y))
            {
                *pixel = OUTLINE;
            }
        }
    }
    out
}

/// The index in `0..inputs` that lies at `index` of `outputs`: `floor(i * in / out)`.
fn nearest(index: u32, outputs: u32, inputs: usize) -> usize {
    (u64::from(index) * inputs as u64 / u64::from(outputs.max(1))) as usize
}

/// The golden angle lies between the hues of neighbouring labels: these stay distinct however many segments there are.
fn segment_color(label: u32) -> Rgb<u8> {
    let hue = (f64::from(label) * 0.618_033_988_75).fract() * 6.0;
    let (strong, weak) = if label.is_multiple_of(2) {
        (225.0, 60.0)
    } else {
        (175.0, 95.0)
    };
    Rgb([5.0, 3.0, 1.0].map(|offset: f64| {
        let place = (offset + hue) % 6.0;
        let share = place.min(4.0 - place).clamp(0.0, 1.0);
        (strong - (strong - weak) * share) as u8
    }))
}

fn heat_color(value: f32) -> Rgb<u8> {
    let place = value.clamp(0.0, 1.0) * (HEAT.len() - 1) as f32;
    let at = (place as usize).min(HEAT.len() - 2);
    let share = place - at as f32;
    Rgb(std::array::from_fn(|i| {
        (f32::from(HEAT[at][i]) * (1.0 - share) + f32::from(HEAT[at + 1][i]) * share) as u8
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn segments_have_colors_of_their_own() {
        let labels: Vec<u32> = (0..16).collect();
        let picture = segments(&labels, 4, (8, 12));
        assert_eq!(picture.pixels().collect::<HashSet<_>>().len(), 16);
        assert_eq!(picture.get_pixel(1, 2), picture.get_pixel(0, 0));
        assert_ne!(picture.get_pixel(2, 0), picture.get_pixel(0, 0));
    }

    #[test]
    fn heat_is_brightest_where_values_are() {
        let sum = |pixel: &Rgb<u8>| pixel.0.iter().map(|&v| u32::from(v)).sum::<u32>();
        let picture = heat(&[0.1, 0.1, 0.1, 0.9], 2, (8, 8));
        let (brightest, _) = picture
            .pixels()
            .enumerate()
            .max_by_key(|(_, p)| sum(p))
            .unwrap();
        assert!(brightest % 8 >= 4 && brightest / 8 >= 4);
        // Where all values are equal, none is the brightest.
        assert!(
            heat(&[0.5; 4], 2, (4, 4))
                .pixels()
                .all(|p| *p == Rgb(HEAT[0]))
        );
    }

    #[test]
    fn an_overlay_keeps_the_inside_and_draws_its_border() {
        let picture = RgbImage::from_pixel(12, 12, Rgb([200, 10, 10]));
        let roi = GrayImage::from_fn(12, 12, |x, y| {
            Luma([if (4..9).contains(&x) && (4..9).contains(&y) {
                255
            } else {
                0
            }])
        });
        let shown = overlay(&picture, &roi);
        assert_eq!(*shown.get_pixel(6, 6), Rgb([200, 10, 10]));
        assert_eq!(*shown.get_pixel(4, 6), OUTLINE);
        assert_ne!(*shown.get_pixel(0, 0), Rgb([200, 10, 10]));
    }
}
