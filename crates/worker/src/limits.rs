//! What the worker takes on of each model: announced with its registration, checked by gateways before an edit is queued, and
//! here again before one is computed.

use std::collections::BTreeMap;
use std::time::Duration;

use limekiln_jobs::api::ModelLimits;
use limekiln_jobs::{Cost, Failure, FailureClass, ModelName};
use limekiln_memory::Budget;

use crate::Settings;
use crate::engine::Engine;
use crate::memory::Need;
use crate::prepared::{Sizing, Speed};

/// Largest `size` that a request may name at all.
const SIZE_MAX: u32 = 2048;
/// Without a setting, edits may ask for so many times the model's own size.
const SIZE_TIMES: u32 = 4;

impl Speed {
    /// What a call would take of a picture of so many pixels, if it took `call` with `own`.
    fn call_of(self, pixels: u64, own: u64) -> Duration {
        let weight = |pixels: u64| {
            let pixels = pixels as f64;
            pixels * (1.0 + pixels / self.balance_px.max(1) as f64)
        };
        self.call.mul_f64(weight(pixels) / weight(own.max(1)))
    }
}

/// What this worker takes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits(BTreeMap<ModelName, ModelLimits>);

impl Limits {
    /// Of every model whose pictures are sized.
    pub(crate) fn new(engine: &Engine, memory: &Budget, settings: &Settings) -> Self {
        let of = |model: &ModelName| {
            let limits = of_model(engine.sizing(model)?, memory.bytes(), settings);
            tracing::info!(%model, ?limits, "edits may ask for so much");
            Some((model.clone(), limits))
        };
        Self(settings.models.iter().filter_map(of).collect())
    }

    pub(crate) fn by_model(&self) -> BTreeMap<ModelName, ModelLimits> {
        self.0.clone()
    }

    /// Refuses what is beyond them, as a gateway would have that knew them.
    ///
    /// # Errors
    ///
    /// Of class user, with the bound.
    pub(crate) fn check(
        &self,
        model: &ModelName,
        cost: Cost,
        size: Option<u32>,
    ) -> Result<(), Failure> {
        let Some(limits) = self.0.get(model) else {
            return Ok(());
        };
        let refused = |error: limekiln_jobs::Invalid| {
            // The gateway let it pass, so that another worker may well take it.
            Failure::new(FailureClass::Internal, "cost_limit", error.to_string())
        };
        limits.check(cost, size).map_err(refused)
    }
}

/// The largest size is the setting's, or four times the model's own, halved until the edit fits into the memory and one call of
/// the engine ends well before it would be taken to hang.
fn of_model(sizing: Sizing, memory_bytes: u64, settings: &Settings) -> ModelLimits {
    let own = sizing.side_px;
    let area = |side: u32| u64::from(side).pow(2);
    let mut size_max = settings
        .size_max
        .unwrap_or(own.saturating_mul(SIZE_TIMES))
        .min(SIZE_MAX);
    let fits = |side: u32| {
        let need = Need::at(area(side), sizing);
        let quick = sizing
            .speed
            .is_none_or(|speed| speed.call_of(area(side), area(own)) <= settings.stall_after);
        need.whole() <= memory_bytes && quick
    };
    while size_max > own && !fits(size_max) {
        size_max = (size_max / 2).max(own);
    }
    ModelLimits {
        size: own,
        size_max: size_max.max(own),
        rows_max: settings.rows_max,
        distances_max: settings.distances_max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_size_fits_memory_and_time() {
        let sizing = |pixel_bytes, call_ms| Sizing {
            side_px: 128,
            factor: 8,
            pixel_bytes,
            speed: Some(Speed {
                call: Duration::from_millis(call_ms),
                balance_px: 1 << 14,
            }),
        };
        let name = "m".parse().unwrap();
        let mut settings = Settings::new("w", vec![name], "/");
        settings.stall_after = Duration::from_secs(8);
        let size_max =
            |sizing, memory, settings: &Settings| of_model(sizing, memory, settings).size_max;
        let much = u64::MAX;
        assert_eq!(size_max(sizing(1000, 1), much, &settings), 512);
        // Four times the pixels take ten times as long, sixteen times 136 times.
        assert_eq!(size_max(sizing(1000, 100), much, &settings), 256);
        assert_eq!(size_max(sizing(1000, 3000), much, &settings), 128);
        assert_eq!(size_max(sizing(1000, 1), 100_000_000, &settings), 256);
        settings.size_max = Some(200);
        assert_eq!(size_max(sizing(1000, 1), much, &settings), 200);
        settings.size_max = Some(64);
        assert_eq!(
            size_max(sizing(1000, 1), much, &settings),
            128,
            "its own is always taken"
        );
    }
}
