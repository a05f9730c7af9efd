//! What RoomBench measures, on pictures and masks of one size. A mask's pixel counts as inside from 128 up.

use image::{GrayImage, RgbImage};

use crate::color::Color;
use crate::linear::{decode, encode};

/// Why there is no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The two differ in width or height.
    #[error(
        "sizes differ: {}x{} and {}x{}", .0.0, .0.1, .1.0, .1.1
    )]
    Size((u32, u32), (u32, u32)),
    /// The mask covers nothing, so there is no color to judge.
    #[error("the mask covers no pixel")]
    Empty,
}

/// Intersection over union of two masks, in `[0, 1]`; 1 where both are empty.
///
/// # Errors
/// [`Error::Size`] where the masks differ in size.
pub fn iou(a: &GrayImage, b: &GrayImage) -> Result<f64, Error> {
    same_size(a.dimensions(), b.dimensions())?;
    let (mut both, mut either) = (0u64, 0u64);
    for (&a, &b) in a.iter().zip(b.iter()) {
        both += u64::from(inside(a) && inside(b));
        either += u64::from(inside(a) || inside(b));
    }
    Ok(if either == 0 {
        1.0
    } else {
        both as f64 / either as f64
    })
}

/// The share of the picture that a mask covers, in `[0, 1]`.
#[must_use]
pub fn share(mask: &GrayImage) -> f64 {
    let covered = mask.iter().filter(|&&value| inside(value)).count();
    covered as f64 / mask.len().max(1) as f64
}

/// The mean color of a picture inside a mask, in 0..=255 for each channel.
///
/// # Errors
/// [`Error::Size`] where picture and mask differ in size, [`Error::Empty`] where the mask covers nothing.
pub fn mean_color(picture: &RgbImage, mask: &GrayImage) -> Result<[f64; 3], Error> {
    same_size(picture.dimensions(), mask.dimensions())?;
    let (mut sum, mut count) = ([0u64; 3], 0u64);
    for (pixel, _) in picture
        .pixels()
        .zip(mask.iter())
        .filter(|&(_, &value)| inside(value))
    {
        for (sum, &channel) in sum.iter_mut().zip(&pixel.0) {
            *sum += u64::from(channel);
        }
        count += 1;
    }
    if count == 0 {
        return Err(Error::Empty);
    }
    Ok(sum.map(|sum| sum as f64 / count as f64))
}

/// The median of each channel of a picture inside a mask.
///
/// # Errors
/// As [`mean_color`].
pub fn median_color(picture: &RgbImage, mask: &GrayImage) -> Result<[u8; 3], Error> {
    same_size(picture.dimensions(), mask.dimensions())?;
    let mut counts = [[0u64; 256]; 3];
    let mut all = 0;
    for (pixel, _) in picture
        .pixels()
        .zip(mask.iter())
        .filter(|&(_, &value)| inside(value))
    {
        for (counts, &channel) in counts.iter_mut().zip(&pixel.0) {
            counts[usize::from(channel)] += 1;
        }
        all += 1;
    }
    if all == 0 {
        return Err(Error::Empty);
    }
    Ok(counts.map(|counts| {
        let mut below = 0;
        let middle = counts.iter().position(|count| {
            below += count;
            2 * below >= all
        });
        middle.unwrap_or_default() as u8
    }))
}

/// The color of the palette nearest to `rgb` by Euclidean distance in RGB (0..=255).
#[must_use]
pub fn nearest_color(rgb: [f64; 3]) -> Color {
    let distance = |color: Color| -> f64 {
        let pairs = rgb.into_iter().zip(color.rgb());
        pairs.map(|(a, b)| (a - f64::from(b)).powi(2)).sum()
    };
    let nearer = |best, color| {
        if distance(color) < distance(best) {
            color
        } else {
            best
        }
    };
    Color::ALL.into_iter().fold(Color::Red, nearer)
}

/// Whether the mean color inside `mask` (the object's colored part) is nearer to `asked` than to any other color of the
/// palette.
///
/// # Errors
/// As [`mean_color`].
pub fn color_success(picture: &RgbImage, mask: &GrayImage, asked: Color) -> Result<bool, Error> {
    Ok(nearest_color(mean_color(picture, mask)?) == asked)
}

/// As [`color_success`], under the light that `truth`, the true edit, shows: each color of the palette is taken for what it would
/// look like there, which is its linear light times what the asked color's has become.
///
/// # Errors
/// As [`mean_color`].
pub fn color_success_lit(
    picture: &RgbImage,
    truth: &RgbImage,
    mask: &GrayImage,
    asked: Color,
) -> Result<bool, Error> {
    let (found, known) = (mean_color(picture, mask)?, mean_color(truth, mask)?);
    let light = |code: f64| decode(code as f32 / 255.0);
    let distance = |color: Color| -> f64 {
        let channel = |i: usize| {
            let gain = light(known[i]) / light(f64::from(asked.rgb()[i]));
            let seen = encode(light(f64::from(color.rgb()[i])) * gain).min(1.0);
            (found[i] - 255.0 * f64::from(seen)).powi(2)
        };
        (0..3).map(channel).sum()
    };
    Ok(Color::ALL
        .into_iter()
        .all(|color| color == asked || distance(asked) < distance(color)))
}

/// How far the mean color inside `mask` (the object's colored part) is from `asked`: Euclidean distance in RGB (0..=255).
///
/// # Errors
/// As [`mean_color`].
pub fn color_error(picture: &RgbImage, mask: &GrayImage, asked: Color) -> Result<f64, Error> {
    Ok(distance(
        mean_color(picture, mask)?,
        asked.rgb().map(f64::from),
    ))
}

/// As [`color_error`], from the mean color that `truth`, the true edit, shows there.
///
/// # Errors
/// As [`mean_color`].
pub fn color_error_lit(
    picture: &RgbImage,
    truth: &RgbImage,
    mask: &GrayImage,
) -> Result<f64, Error> {
    Ok(distance(
        mean_color(picture, mask)?,
        mean_color(truth, mask)?,
    ))
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    let squares = a.into_iter().zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

/// The mean absolute change outside a mask (the whole object), over pixels and channels, in units of 0..=255; 0 where
/// nothing is outside.
///
/// # Errors
/// [`Error::Size`] where the three differ in size.
pub fn change_outside(before: &RgbImage, after: &RgbImage, mask: &GrayImage) -> Result<f64, Error> {
    same_size(before.dimensions(), after.dimensions())?;
    same_size(before.dimensions(), mask.dimensions())?;
    let (mut sum, mut count) = (0u64, 0u64);
    for ((before, after), &value) in before.pixels().zip(after.pixels()).zip(mask.iter()) {
        if !inside(value) {
            let channels = before.0.iter().zip(&after.0);
            sum += channels
                .map(|(&a, &b)| u64::from(a.abs_diff(b)))
                .sum::<u64>();
            count += 3;
        }
    }
    Ok(sum as f64 / count.max(1) as f64)
}

fn inside(value: u8) -> bool {
    value >= 128
}

fn same_size(a: (u32, u32), b: (u32, u32)) -> Result<(), Error> {
    if a == b {
        Ok(())
    } else {
        Err(Error::Size(a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Luma, Rgb};

    /// A mask of four pixels in a row.
    fn row(values: [u8; 4]) -> GrayImage {
        GrayImage::from_fn(4, 1, |x, _| Luma([values[x as usize]]))
    }

    #[test]
    fn iou_counts_shared_over_covered_pixels() {
        let (a, b) = (row([255, 255, 255, 0]), row([0, 255, 128, 255]));
        assert_eq!(iou(&a, &b), Ok(0.5));
        assert_eq!(iou(&a, &a), Ok(1.0));
        assert_eq!(iou(&row([0; 4]), &row([127; 4])), Ok(1.0));
        let other = GrayImage::new(1, 4);
        assert_eq!(iou(&a, &other), Err(Error::Size((4, 1), (1, 4))));
    }

    #[test]
    fn share_is_of_the_whole_picture() {
        assert_eq!(share(&row([255, 0, 0, 0])), 0.25);
        assert_eq!(share(&GrayImage::new(0, 0)), 0.0);
    }

    #[test]
    fn color_is_judged_inside_the_mask_alone() {
        let picture = RgbImage::from_fn(4, 1, |x, _| {
            Rgb(if x < 2 { [205, 45, 45] } else { [0, 0, 255] })
        });
        let mask = row([255, 255, 0, 0]);
        assert_eq!(mean_color(&picture, &mask), Ok([205.0, 45.0, 45.0]));
        assert_eq!(color_success(&picture, &mask, Color::Red), Ok(true));
        assert_eq!(color_success(&picture, &mask, Color::Orange), Ok(false));
        assert_eq!(mean_color(&picture, &row([0; 4])), Err(Error::Empty));
        assert_eq!(
            median_color(&picture, &row([255, 255, 255, 0])),
            Ok([205, 45, 45])
        );
        assert_eq!(median_color(&picture, &row([0; 4])), Err(Error::Empty));
    }

    #[test]
    fn every_palette_color_is_nearest_to_itself() {
        for color in Color::ALL {
            assert_eq!(nearest_color(color.rgb().map(f64::from)), color);
        }
    }

    #[test]
    fn change_outside_ignores_the_inside() {
        let before = RgbImage::from_pixel(4, 1, Rgb([10, 10, 10]));
        let mut after = before.clone();
        after.put_pixel(0, 0, Rgb([255, 255, 255]));
        after.put_pixel(3, 0, Rgb([4, 10, 13]));
        let outside = change_outside(&before, &after, &row([255, 0, 0, 0]));
        assert_eq!(outside, Ok(1.0));
        assert_eq!(change_outside(&before, &after, &row([255; 4])), Ok(0.0));
    }
}
