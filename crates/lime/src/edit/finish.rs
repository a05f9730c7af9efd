//! From latents to a picture and its report.

use std::time::Instant;

use candle_core::Tensor;
use image::{GrayImage, RgbImage};
use limekiln_diffusion::{model::Model, picture};
use limekiln_pictures::Mask;
use limekiln_pictures::original::Rgb16Image;

use super::machine::Edit;
use crate::{
    error::{Error, Result},
    found::Found,
    report::{Report, change},
    roi::{Map, Segments},
    timings::milliseconds,
};

/// The model's picture.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The edited picture, of the request's size.
    pub image: RgbImage,
    /// The same in 16 bits a channel, for inputs that have as many.
    pub deep: Rgb16Image,
    /// f32 `[1, channels, h, w]`, before decoding.
    pub latents: Tensor,
}

/// What an edit leaves.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The model's picture; none where nothing was denoised.
    pub decoded: Option<Decoded>,
    /// What is to be recolored, where the edit looked for it itself.
    pub found: Option<Found>,
    /// The region: 0 or 255, of the request's size.
    pub roi: Option<GrayImage>,
    /// The same on the grid that it was located on.
    pub region: Option<Mask>,
    /// The clustering that the region was put together from.
    pub segments: Option<Segments>,
    /// The map of where the instruction acts.
    pub attention: Option<Map>,
    /// What happened.
    pub report: Report,
}

impl Outcome {
    /// Of an edit for which nothing was computed.
    pub(crate) fn undone(report: Report) -> Self {
        Self {
            decoded: None,
            found: None,
            roi: None,
            region: None,
            segments: None,
            attention: None,
            report,
        }
    }
}

impl Edit {
    /// Decodes the latents, where anything was denoised, and reports.
    ///
    /// # Errors
    ///
    /// When steps are left, or the decoder fails.
    pub fn finish(mut self, model: &Model) -> Result<Outcome> {
        if !self.is_done() {
            let progress = self.progress();
            return Err(Error::Request(format!(
                "only {} of {} steps are done",
                progress.done, progress.total
            )));
        }
        let decoded = self.denoised().then(|| self.decode(model)).transpose()?;
        let (width, height) = self.setup.request.image.dimensions();
        let roi = self
            .located
            .roi
            .as_ref()
            .map(|roi| roi.resized(width as usize, height as usize));
        let before = &self.setup.request.image;
        let report = Report {
            change: decoded
                .as_ref()
                .map(|decoded| change(before, &decoded.image, roi.as_ref())),
            ..Report::new(model, &self)
        };
        Ok(Outcome {
            decoded,
            found: self.judged.and_then(|judged| judged.found),
            roi: roi.map(|roi| roi.to_image()),
            region: self.located.roi,
            segments: self.located.segments,
            attention: self.located.map,
            report,
        })
    }

    fn decode(&mut self, model: &Model) -> Result<Decoded> {
        let began = Instant::now();
        let latents = self.run.latents().clone();
        // The whole picture, though only the window changed: group norms and attention of the decoder see everything, and a window alone
        // came out up to 8 of 255 off in rooms, and up to 159 with attention.
        let scaled = (&latents / self.setup.scaling_factor)?.to_dtype(model.dtype)?;
        let decoded = model.vae.decode(&scaled)?;
        let (image, deep) = (
            picture::from_tensor(&decoded)?,
            picture::deep_from_tensor(&decoded)?,
        );
        self.timings.decode_ms = milliseconds(began);
        Ok(Decoded {
            image,
            deep,
            latents,
        })
    }
}
