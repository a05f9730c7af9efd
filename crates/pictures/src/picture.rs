//! Colors and transparency, apart.

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, RgbImage, Rgba, RgbaImage};

/// A picture, 8 bits a channel. Models see colors alone, so transparency is kept beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Colors; what transparent pixels hide is still there.
    pub rgb: RgbImage,
    /// Opacity, of the same size; none where every pixel is opaque.
    pub alpha: Option<GrayImage>,
}

impl Picture {
    /// The colors as they look on white paper.
    pub fn on_white(&self) -> RgbImage {
        let mut out = self.rgb.clone();
        if let Some(alpha) = &self.alpha {
            for (pixel, alpha) in out.pixels_mut().zip(alpha.iter()) {
                let alpha = u32::from(*alpha);
                pixel.0 = pixel.0.map(|value| {
                    ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8
                });
            }
        }
        out
    }

    /// Other colors, of any size, with the transparency of this picture.
    pub fn with_colors(&self, rgb: RgbImage) -> Self {
        let (width, height) = rgb.dimensions();
        let alpha = self.alpha.as_ref().map(|alpha| {
            if alpha.dimensions() == (width, height) {
                alpha.clone()
            } else {
                imageops::resize(alpha, width, height, FilterType::Lanczos3)
            }
        });
        Self { rgb, alpha }
    }
}

/// Opaque.
impl From<RgbImage> for Picture {
    fn from(rgb: RgbImage) -> Self {
        Self { rgb, alpha: None }
    }
}

/// RGBA where there is transparency, else RGB.
impl From<Picture> for DynamicImage {
    fn from(picture: Picture) -> Self {
        let Picture { rgb, alpha } = picture;
        let Some(alpha) = alpha else {
            return rgb.into();
        };
        let mut rgba = RgbaImage::new(rgb.width(), rgb.height());
        for ((out, color), alpha) in rgba.pixels_mut().zip(rgb.pixels()).zip(alpha.iter()) {
            let [r, g, b] = color.0;
            *out = Rgba([r, g, b, *alpha]);
        }
        rgba.into()
    }
}
