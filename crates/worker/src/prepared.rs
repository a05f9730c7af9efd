//! Pictures read and made into the engine's requests, beside the engine and not on its thread.

use std::time::Duration;

use bytes::Bytes;
use limekiln_jobs::{Failure, FailureClass, Spec};
use limekiln_lime::canvas::{Canvas, Error, Finish, Finishing, Recipe};
use limekiln_lime::known::Unplaced;
use limekiln_lime::{Outcome, Request};
use limekiln_pictures::Limits;

use crate::resolve::{self, Unready};

/// How fast a model is on its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// What a call of all lanes took at the model's own size, decoding and encoding included.
    pub call: Duration,
    /// Pixels of the sized picture at which attention takes as long as everything else.
    pub balance_px: u64,
}

/// How a model's pictures are sized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Bound on the longer side where the edit names none, in pixels.
    pub side_px: u32,
    /// Sides are multiples of this, in pixels.
    pub factor: u32,
    /// Bytes of the process that the engine takes for each pixel of the sized picture; none where a device has its own.
    pub pixel_bytes: u64,
    /// How fast the engine is; none where that is not known.
    pub speed: Option<Speed>,
}

/// An edit that is ready for the engine.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What the engine is asked for, or what comes of an edit that asks it for nothing.
    pub asked: Asked,
    /// What the result is made on.
    pub canvas: Canvas,
    /// How the result is made.
    pub finishing: Finishing,
}

/// What the engine is asked for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// To run its model.
    Edit(Box<Request>),
    /// Nothing: a mask says where, and the picture is only recolored.
    Nothing(Box<Outcome>),
}

impl Prepared {
    /// Reads an edit's input, with what turns before it changed of that, and its mask: a function of the bytes, the spec and the model's sizing alone, so that every
    /// attempt computes the same.
    ///
    /// # Errors
    ///
    /// Of class user, for a picture, a mask, a preset or an instruction that can't be used; [`Unready::Unable`] for a preset
    /// of a newer version.
    pub fn read(
        (input, patches): (&[u8], &[Bytes]),
        mask: Option<&[u8]>,
        spec: &Spec,
        sizing: Sizing,
    ) -> Result<Self, Unready> {
        let preset = resolve::preset(spec)?;
        let finishing = resolve::finishing(spec, &preset)?;
        finishing.takes(&preset).map_err(failure)?;
        let mut canvas = Canvas::read(input, &Limits::ACCEPTED).map_err(failure)?;
        if !patches.is_empty() {
            canvas = canvas.patched(patches).map_err(|error| {
                Failure::new(FailureClass::Internal, "patch_damaged", error.to_string())
            })?;
        }
        if spec.strip_metadata {
            canvas = canvas.without_metadata();
        }
        if let Some(mask) = mask {
            canvas = canvas.with_mask(mask, &Limits::ACCEPTED).map_err(failure)?;
        }
        if spec.matte {
            canvas = canvas.with_mask_refined();
        }
        let recipe = Recipe::new(&spec.instruction, spec.seed, preset)
            .map_err(failure)?
            .painted(finishing.paint.clone())
            .detailed(finishing.finish == Finish::Detail);
        let side_px = spec.size.unwrap_or(sizing.side_px);
        let asked = match canvas.without_model(&recipe) {
            Some(outcome) => Asked::Nothing(Box::new(outcome)),
            None => {
                let request = canvas.request(&recipe, side_px, sizing.factor);
                Asked::Edit(Box::new(request.map_err(failure)?))
            }
        };
        Ok(Self {
            asked,
            canvas,
            finishing,
        })
    }
}

impl Prepared {
    /// The name of what may be recolored, but for the region; none where nothing may.
    pub(crate) fn unplaced(&self) -> Option<Unplaced> {
        let preset = match &self.asked {
            Asked::Edit(request) => &request.preset,
            Asked::Nothing(outcome) => &outcome.report.preset,
        };
        let paint = self.finishing.paint.as_ref()?;
        preset.recolor.as_ref()?;
        Some(self.canvas.unplaced(paint))
    }
}

/// Why an edit fails that can't be started, or whose result can't be made.
pub(crate) fn failure(error: impl Into<Error>) -> Failure {
    let error = error.into();
    let class = match error {
        Error::Engine(_) | Error::Finish(limekiln_finish::Error::Stopped) => FailureClass::Internal,
        Error::Picture(_)
        | Error::InstructionEmpty
        | Error::InstructionTooLong { .. }
        | Error::Asked { .. }
        | Error::NotRecolored { .. }
        | Error::NoRegion
        | Error::Finish(_) => FailureClass::User,
    };
    Failure::new(class, error.code(), error.to_string())
}

#[cfg(test)]
mod tests {
    use limekiln_pictures::Original;
    use limekiln_pictures::original::{Length, Metadata, Resolution};

    use super::*;

    #[test]
    fn metadata_goes_along_unless_it_is_to_be_left_out() {
        let mut original = Original::from(image::RgbImage::new(64, 64));
        original.metadata.resolution = Some(Resolution {
            x: 300.0,
            y: 300.0,
            per: Length::Metre,
        });
        let input = original.encode(limekiln_pictures::Format::Png).unwrap();
        let sizing = Sizing {
            side_px: 64,
            factor: 8,
            pixel_bytes: 0,
            speed: None,
        };
        let read = |strip_metadata| {
            let spec = Spec {
                strip_metadata,
                ..Spec::new("make the sofa red")
            };
            let prepared = Prepared::read((&input, &[]), None, &spec, sizing).unwrap();
            prepared.canvas.original.metadata.clone()
        };
        assert_eq!(read(false), original.metadata);
        assert_eq!(read(true), Metadata::default());
    }
}
