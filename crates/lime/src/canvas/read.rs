//! The input and the user's mask, from bytes.

use std::sync::Arc;

use image::RgbImage;
use limekiln_pictures::original::{Original, Warning};
use limekiln_pictures::{Limits, Patch, Result, mask_decode};

use crate::found::UserMask;

/// A picture to edit, and where the user lets it be edited.
#[derive(Clone, Debug)]
pub struct Canvas {
    /// The input as its file holds it, upright.
    pub original: Arc<Original>,
    /// The user's mask, of the picture's size.
    pub mask: Option<UserMask>,
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
            original: original.into(),
            mask: None,
            lost,
        })
    }

    /// The same with what earlier edits changed of it, the first one's first.
    ///
    /// # Errors
    ///
    /// For a patch that can't be read, or of another picture.
    pub fn patched(mut self, patches: &[impl AsRef<[u8]>]) -> Result<Self> {
        let mut original = Arc::unwrap_or_clone(self.original);
        for patch in patches {
            Patch::read(patch.as_ref())?.lay(&mut original)?;
        }
        self.original = original.into();
        Ok(self)
    }

    /// The same with a mask: white where the edit may act.
    ///
    /// # Errors
    ///
    /// As [`mask_decode`].
    pub fn with_mask(self, mask: &[u8], limits: &Limits) -> Result<Self> {
        let mask = mask_decode(mask, self.size(), limits)?;
        Ok(Self {
            mask: Some(UserMask {
                pixels: mask.into(),
                rough: false,
            }),
            ..self
        })
    }

    /// The same with a mask, if there is one, that only says roughly where: the picture says where its object ends.
    pub fn with_mask_refined(mut self) -> Self {
        if let Some(mask) = &mut self.mask {
            mask.rough = true;
        }
        self
    }

    /// The same without what the input's file says beside its pixels and colors.
    pub fn without_metadata(mut self) -> Self {
        let original = Arc::unwrap_or_clone(self.original);
        self.original = original.without_metadata().into();
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
            original: Arc::new(rgb.into()),
            mask: None,
            lost: Vec::new(),
        }
    }
}
