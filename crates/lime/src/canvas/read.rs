//! The input and the user's mask, from bytes.

use image::{GrayImage, RgbImage};
use limekiln_pictures::{Limits, Picture, Result, decode, mask_decode};

/// A picture to edit, and where the user lets it be edited.
#[derive(Clone, Debug)]
pub struct Canvas {
    /// The input, upright.
    pub picture: Picture,
    /// The user's mask, of the picture's size: 0 and 255.
    pub mask: Option<GrayImage>,
}

impl Canvas {
    /// Reads a PNG, JPEG or WebP picture. What is computed from it is a function of the bytes alone, so that every attempt
    /// of an edit computes the same.
    ///
    /// # Errors
    ///
    /// As [`decode`].
    pub fn read(picture: &[u8], limits: &Limits) -> Result<Self> {
        Ok(Self {
            picture: decode(picture, limits)?,
            mask: None,
        })
    }

    /// The same with a mask: white where the edit may act.
    ///
    /// # Errors
    ///
    /// As [`mask_decode`].
    pub fn with_mask(self, mask: &[u8], limits: &Limits) -> Result<Self> {
        let mask = mask_decode(mask, self.size(), limits)?;
        Ok(Self {
            mask: Some(mask),
            ..self
        })
    }

    /// Width and height of the input, in pixels.
    pub fn size(&self) -> (u32, u32) {
        self.picture.rgb.dimensions()
    }
}

/// A picture without mask.
impl From<RgbImage> for Canvas {
    fn from(rgb: RgbImage) -> Self {
        Self {
            picture: rgb.into(),
            mask: None,
        }
    }
}
