//! Pictures read and sized beside the engine, not on its thread.

use image::{GrayImage, RgbImage};
use limekiln_jobs::{Failure, FailureClass, Spec};
use limekiln_pictures::{Error, Limits, Picture, decode, mask_decode, size};

use crate::Sizing;

/// An edit's input as pixels.
#[derive(Clone, Debug)]
pub struct Pixels {
    /// The input.
    pub picture: Picture,
    /// The mask, of the input's size: 0 and 255.
    pub mask: Option<GrayImage>,
    /// What the model is shown, at its working size.
    pub working: RgbImage,
    /// The mask at the working size.
    pub working_mask: Option<GrayImage>,
}

impl Pixels {
    /// Reads and sizes an edit's input and mask: a function of the bytes, the spec and the model's sizing alone, so that
    /// every attempt computes the same.
    ///
    /// # Errors
    ///
    /// What is wrong with the picture or the mask; the user's fault.
    pub fn read(
        input: &[u8],
        mask: Option<&[u8]>,
        spec: &Spec,
        sizing: Sizing,
    ) -> Result<Self, Failure> {
        let picture = decode(input, &Limits::FILE).map_err(|error| failure(&error))?;
        let input_size = picture.rgb.dimensions();
        let mask = mask
            .map(|mask| mask_decode(mask, input_size, &Limits::FILE))
            .transpose()
            .map_err(|error| failure(&error))?;
        let side_px = spec.size.unwrap_or(sizing.side_px);
        let working_size =
            size::working(input_size, side_px, sizing.factor).map_err(|error| failure(&error))?;
        Ok(Self {
            working: size::shrink(&picture.on_white(), working_size),
            working_mask: mask
                .as_ref()
                .map(|mask| size::mask_shrink(mask, working_size)),
            picture,
            mask,
        })
    }
}

fn failure(error: &Error) -> Failure {
    Failure::new(FailureClass::User, error.code(), error.to_string())
}
