//! From latents to a picture and its report.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{Device, Tensor};
use image::{GrayImage, RgbImage};
use limekiln_diffusion::{model::Model, picture, pulse};
use limekiln_pictures::Mask;
use limekiln_pictures::original::Rgb16Image;

use super::machine::Edit;
use crate::{
    error::{Error, Result},
    known::{Kind, Known, Object},
    preset::LocateFrom,
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
    /// What the decoder makes of the input's own latents; none unless the request asks for it.
    pub before: Option<Arc<Rgb16Image>>,
}

/// What an edit leaves.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The model's picture; none where nothing was denoised.
    pub decoded: Option<Decoded>,
    /// What is to be recolored, where the edit looked for it itself, or an earlier one had found it.
    pub found: Option<Object>,
    /// The region: 0 or 255, of the request's size.
    pub roi: Option<GrayImage>,
    /// The same on the grid that it was located on.
    pub region: Option<Mask>,
    /// What the edit could change, on the grid of the latents, less a latent all around; none where that is everything.
    pub changeable: Option<Mask>,
    /// The clustering that the region was put together from.
    pub segments: Option<Segments>,
    /// The map of where the instruction acts.
    pub attention: Option<Map>,
    /// What was computed of the picture that was not known before.
    pub made: Known,
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
            changeable: None,
            segments: None,
            attention: None,
            made: Known::default(),
            report,
        }
    }

    /// The same for an edit that needs no model: of what is `known`, what was found to be recolored.
    #[must_use]
    pub fn knowing(self, known: Known) -> Self {
        Self {
            found: known.object,
            ..self
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
        let changeable = self.changeable().filter(|_| decoded.is_some());
        let (width, height) = self.setup.request.image.dimensions();
        let roi = self
            .located
            .roi
            .as_ref()
            .map(|roi| roi.resized(width as usize, height as usize));
        let made = self.made(decoded.as_ref())?;
        let before = &self.setup.request.image;
        let report = Report {
            change: decoded
                .as_ref()
                .map(|decoded| change(before, &decoded.image, roi.as_ref())),
            ..Report::new(model, &self)
        };
        Ok(Outcome {
            decoded,
            found: self.judged.and_then(|judged| judged.found).or(self.object),
            roi: roi.map(|roi| roi.to_image()),
            region: self.located.roi,
            changeable,
            segments: self.located.segments,
            attention: self.located.map,
            made,
            report,
        })
    }

    fn decode(&mut self, model: &Model) -> Result<Decoded> {
        let began = Instant::now();
        let latents = self.run.latents().clone();
        let factor = self.setup.scaling_factor;
        let decoded = |latents: &Tensor| -> Result<Tensor> {
            Ok(model.vae.decode(&latents.to_dtype(model.dtype)?)?)
        };
        // The whole picture, though only the window changed: group norms and attention of the decoder see everything, and a window alone
        // came out up to 8 of 255 off in rooms, and up to 159 with attention.
        let after = decoded(&(&latents / factor)?)?;
        let (image, deep) = (
            picture::from_tensor(&after)?,
            picture::deep_from_tensor(&after)?,
        );
        self.timings.decode_ms = milliseconds(began);
        drop(after);
        let began = Instant::now();
        let mut before = None;
        // Without a region there is nothing to carry over.
        if self.setup.request.beside && self.located.roi.is_some() {
            pulse::beat();
            let size = self.setup.request.image.dimensions();
            let known = std::mem::take(&mut self.decoded);
            before = match known.filter(|known| known.dimensions() == size) {
                Some(known) => {
                    self.reused.push(Kind::Decoded);
                    Some(known)
                }
                None => Some(picture::deep_from_tensor(&decoded(&self.setup.picture)?)?.into()),
            };
            self.timings.decode_input_ms = milliseconds(began);
        }
        Ok(Decoded {
            image,
            deep,
            latents,
            before,
        })
    }

    /// What this edit computed of the picture itself, for others.
    fn made(&self, decoded: Option<&Decoded>) -> Result<Known> {
        let fresh = |kind| !self.reused.contains(&kind);
        let picture = || self.setup.picture.to_device(&Device::Cpu);
        let located = self.setup.locate().filter(|_| self.located.map.is_some());
        let segmented = located
            .filter(|locate| locate.from == LocateFrom::Input && locate.segmented())
            .filter(|_| fresh(Kind::Segments));
        Ok(Known {
            latents: fresh(Kind::Latents).then(picture).transpose()?,
            decoded: decoded
                .and_then(|decoded| decoded.before.clone())
                .filter(|_| fresh(Kind::Decoded)),
            segments: segmented.map(|_| self.located.segmented()),
            region: located
                .filter(|_| fresh(Kind::Region))
                .map(|_| self.located.clone()),
            object: None,
            region_from: None,
        })
    }

    fn changeable(&self) -> Option<Mask> {
        let blend = self.setup.request.preset.edit.as_ref()?.blend.as_ref()?;
        let grown = self.setup.grown(self.located.roi.as_ref()?, blend);
        let (width, height) = (grown.width(), grown.height());
        let outside = grown.inside().iter().map(|inside| !inside).collect();
        let outside = Mask::new(width, height, outside).grown(1);
        let inside = outside.inside().iter().map(|outside| !outside).collect();
        Some(Mask::new(width, height, inside))
    }
}
