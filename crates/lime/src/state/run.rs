//! A run and what it has read, saved and read.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::tensors::Tensors;
use crate::{
    error::{Error, Result},
    sums::Sums,
    trajectory::SavedTrajectory,
};

/// Its numbers; the rest are tensors.
#[derive(Serialize, Deserialize)]
pub(super) struct RunHead {
    step: usize,
    /// Layers summed in the maps.
    layers: usize,
}

/// Puts the tensors of a run and its sums, and gives their numbers.
pub(super) fn save(run: SavedTrajectory, sums: &Sums, tensors: &mut Tensors) -> Result<RunHead> {
    tensors.put("latents", &run.latents)?;
    tensors.put_bytes("rng", run.rng)?;
    for (name, value) in &run.history {
        tensors.put(&format!("history.{name}"), value)?;
    }
    for (name, value) in &sums.features {
        tensors.put(&format!("feature.{name}"), value)?;
    }
    for ((height, width), value) in &sums.maps {
        tensors.put(&format!("map.{height}x{width}"), value)?;
    }
    Ok(RunHead {
        step: run.step,
        layers: sums.layers,
    })
}

/// The reverse of [`save`], for latents of the shape `dims`.
pub(super) fn restore(
    head: &RunHead,
    tensors: &mut Tensors,
    dims: &[usize],
    device: &Device,
) -> Result<(SavedTrajectory, Sums)> {
    let run = SavedTrajectory {
        step: head.step,
        rng: tensors.take("rng")?.to_vec1()?,
        latents: tensors.take("latents")?,
        history: tensors
            .take_all("history.", device)
            .collect::<Result<_>>()?,
    };
    if run.latents.dims() != dims || run.latents.dtype() != DType::F32 {
        return Err(Error::State("its latents have another shape".into()));
    }
    let size = |name: &str| -> Option<(usize, usize)> {
        let (height, width) = name.split_once('x')?;
        Some((height.parse().ok()?, width.parse().ok()?))
    };
    let sized = |map: Result<(String, Tensor)>| {
        let (name, value) = map?;
        let size = size(&name).ok_or_else(|| Error::State(format!("{name:?} is no size")))?;
        Ok((size, value))
    };
    let sums = Sums {
        layers: head.layers,
        features: tensors
            .take_all("feature.", device)
            .collect::<Result<_>>()?,
        maps: tensors
            .take_all("map.", device)
            .map(sized)
            .collect::<Result<_>>()?,
    };
    Ok((run, sums))
}
