//! The input and the user's mask, from bytes.

use image::{GrayImage, RgbImage};
use limekiln_pictures::original::{Original, Warning};
use limekiln_pictures::{Limits, Result, mask_decode};

/// A picture to edit, and where the user lets it be edited.
#[derive(Clone, Debug)]
pub struct Canvas {
    /// The input as its file holds it, upright.
    pub original: Original,
    /// The user's mask, of the picture's size: 0 and 255.
    pub mask: Option<GrayImage>,
    /// What of the input's file does not go through.
    pub lost: Vec<Warning>,
}

impl Canvas {
    /// Reads a picture. What is computed from it is a function of the bytes alone, so that every attempt
    /// of an edit computes the same.
    ///
    /// # Errors
    ///
    /// As [`Original::read`].
    pub fn read(picture: &[u8], limits: &Limits) -> Result<Self> {
        let (original, lost) = Original::read(picture, limits)?;
        Ok(Self {
            original,
            mask: None,
            lost,
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

    /// The same without what the input's file says beside its pixels and colors.
    pub fn without_metadata(mut self) -> Self {
        self.original = self.original.without_metadata();
        self
    }

    /// Width and height of the input, in pixels.
    pub fn size(&self) -> (u32, u32) {
        self.original.size()
    }
}

/// A picture without mask.
impl From<RgbImage> for Canvas {
    fn from(rgb: RgbImage) -> Self {
        Self {
            original: rgb.into(),
            mask: None,
            lost: Vec::new(),
        }
    }
}
