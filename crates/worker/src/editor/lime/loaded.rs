//! A model that is loaded and warm.

use std::time::Instant;

use candle_core::Device;
use limekiln_diffusion::model::Model;
use limekiln_jobs::ModelName;
use limekiln_lime::lanes::LANES;
use limekiln_lime::probe;

use super::colors::Colors;
use super::pace;
use crate::editor::contract::BoxError;
use crate::prepared::{Sizing, Speed};

/// A model that is loaded.
pub struct LimeModel {
    /// The name that edits ask for it by.
    pub name: ModelName,
    /// The networks.
    pub model: Model,
    /// Bound on the longer side of its pictures where the edit names none, in pixels.
    pub side_px: u32,
    /// Whether it knows drawings alone, so that edits of photographs are warned of.
    pub drawings_only: bool,
}

/// A model that is loaded, and what was measured of it.
pub(super) struct LoadedModel {
    pub(super) model: Model,
    pub(super) sizing: Sizing,
    pub(super) drawings_only: bool,
    pub(super) colors: Colors,
    /// Its place among the models.
    pub(super) number: usize,
    /// Rows times latent pixels of the largest call that pays.
    pub(super) call_most: u64,
}

impl LoadedModel {
    /// Warms it up: it makes a small edit, and says what calls take.
    ///
    /// # Errors
    ///
    /// When the model can't edit.
    pub(super) fn warm(model: LimeModel, number: usize) -> Result<Self, BoxError> {
        let LimeModel {
            model,
            side_px,
            drawings_only,
            ..
        } = model;
        let factor = u32::try_from(model.factor())?;
        let mut sizing = Sizing {
            side_px: side_px.max(factor),
            factor,
            pixel_bytes: match model.device {
                Device::Cpu => model.bytes_per_pixel(LANES.len()) as u64,
                Device::Cuda(_) | Device::Metal(_) => 0,
            },
            speed: None,
        };
        let colors = Colors::fit(&model)?;
        // The first warms up what the second is timed without.
        probe(&model, sizing.side_px, 1)?;
        let began = Instant::now();
        probe(&model, sizing.side_px, 1)?;
        let took = began.elapsed();
        let call_most = pace::measured(&model, (sizing.side_px / factor) as usize)?;
        let factor = u64::from(factor);
        sizing.speed = Some(Speed {
            call: took,
            balance_px: model.attention_balance() as u64 * factor.pow(2),
        });
        Ok(Self {
            model,
            sizing,
            drawings_only,
            colors,
            number,
            call_most,
        })
    }
}
