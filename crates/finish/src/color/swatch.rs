//! A color shown by a picture of it.

use limekiln_pictures::Picture;
use palette::color_difference::Ciede2000;

use super::value::Color;
use crate::error::{Error, Result};

/// How far the pixels of a swatch may be from its color, as the 90th percentile of CIEDE2000: paper and fabric have grain.
const APART: f64 = 6.0;
/// How many pixels are looked at; more say no more.
const LOOKED_AT: usize = 4096;

/// The color of a swatch: the median of its pixels, which may have grain but show one color.
///
/// # Errors
///
/// [`Error::SwatchOfSeveral`], [`Error::SwatchTransparent`] or [`Error::SwatchEmpty`].
pub fn swatch(picture: &Picture) -> Result<Color> {
    if picture
        .alpha
        .as_ref()
        .is_some_and(|alpha| alpha.iter().any(|alpha| *alpha < 255))
    {
        return Err(Error::SwatchTransparent);
    }
    let count = picture.rgb.pixels().len();
    let step = (count / LOOKED_AT).max(1);
    let colors: Vec<[u8; 3]> = picture
        .rgb
        .pixels()
        .step_by(step)
        .map(|pixel| pixel.0)
        .collect();
    if colors.is_empty() {
        return Err(Error::SwatchEmpty);
    }
    let middle = [0, 1, 2].map(|channel| {
        let mut values: Vec<u8> = colors.iter().map(|color| color[channel]).collect();
        let half = values.len() / 2;
        *values.select_nth_unstable(half).1
    });
    let color = Color::from_srgb8(middle);
    let lab = color.lab();
    let mut apart: Vec<f64> = colors
        .iter()
        .map(|other| f64::from(lab.difference(Color::from_srgb8(*other).lab())))
        .collect();
    let at = apart.len() * 9 / 10;
    let apart = *apart.select_nth_unstable_by(at, f64::total_cmp).1;
    if apart > APART {
        return Err(Error::SwatchOfSeveral { apart });
    }
    Ok(color)
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage};

    use super::*;

    #[test]
    fn one_color_with_grain() {
        let grain = RgbImage::from_fn(64, 64, |x, y| {
            let n = ((x * 7 + y * 13) % 9) as u8;
            Rgb([27 + n, 107 + n, 135 + n])
        });
        assert_eq!(swatch(&grain.into()).map(Color::hex), Ok("#1F6F8B".into()));
    }

    #[test]
    fn several_transparent_or_none() {
        let halves = RgbImage::from_fn(64, 64, |x, _| {
            Rgb(if x < 32 { [200, 0, 0] } else { [0, 0, 200] })
        });
        assert!(matches!(
            swatch(&halves.clone().into()),
            Err(Error::SwatchOfSeveral { .. })
        ));
        let glass = Picture {
            rgb: halves,
            alpha: Some(GrayImage::from_pixel(64, 64, Luma([254]))),
        };
        assert_eq!(swatch(&glass), Err(Error::SwatchTransparent));
        assert_eq!(swatch(&RgbImage::new(0, 0).into()), Err(Error::SwatchEmpty));
    }
}
