//! An edit laid over its input.

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, Luma, RgbImage, Rgba, RgbaImage};
use limekiln_lime::composite;

/// An edit fades into the picture over this share of its longer side.
const FEATHER_SHARE: u32 = 128;

/// How an edit was laid over its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seam {
    /// Width of the seam around the region, in pixels of the input.
    pub feather_px: u32,
    /// Pixels beyond the seam that are not the input's own.
    pub changed_outside_px: u64,
}

/// `picture` with the `edited` one, of any size, laid over it inside `roi` (of the picture's size; everywhere where
/// there is none).
pub fn composed(
    picture: &RgbImage,
    edited: &RgbImage,
    roi: Option<&GrayImage>,
) -> (RgbImage, Seam) {
    let (width, height) = picture.dimensions();
    let everything = GrayImage::from_pixel(width, height, Luma([255]));
    let feather_px = (width.max(height) / FEATHER_SHARE).max(1);
    let (result, changed_outside_px) =
        composite(picture, edited, roi.unwrap_or(&everything), feather_px);
    let seam = Seam {
        feather_px,
        changed_outside_px,
    };
    (result, seam)
}

/// `rgb` laid over white paper with opacity `alpha`, of the same size.
pub fn on_white(rgb: &RgbImage, alpha: &GrayImage) -> RgbImage {
    let mut out = rgb.clone();
    for (pixel, alpha) in out.pixels_mut().zip(alpha.iter()) {
        let alpha = u32::from(*alpha);
        pixel.0 = pixel
            .0
            .map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
    }
    out
}

/// `alpha` at the `size` of a result.
pub fn alpha_resize(alpha: &GrayImage, (width, height): (u32, u32)) -> GrayImage {
    if alpha.dimensions() == (width, height) {
        alpha.clone()
    } else {
        imageops::resize(alpha, width, height, FilterType::Lanczos3)
    }
}

/// A result with its input's transparency, of the same size.
pub fn with_alpha(rgb: &RgbImage, alpha: &GrayImage) -> DynamicImage {
    let mut rgba = RgbaImage::new(rgb.width(), rgb.height());
    for ((out, color), alpha) in rgba.pixels_mut().zip(rgb.pixels()).zip(alpha.iter()) {
        let [r, g, b] = color.0;
        *out = Rgba([r, g, b, *alpha]);
    }
    rgba.into()
}
