//! An edit's window and its check, saved and read.

use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

use super::tensors::Tensors;
use crate::{
    edit::{Check, Windowed},
    error::{Error, Result},
    window::Rect,
};

/// Name of the tensor that a check which is under way has so far.
const PREDICTED: &str = "window.predicted";

/// Its numbers; the rest is a tensor.
#[derive(Serialize, Deserialize)]
pub(super) struct WindowHead {
    rect: Rect,
    /// What the check found, as bits of the f64: read from JSON, the last of them may differ.
    difference: Option<u64>,
}

/// Puts the tensor of a check that is under way, and gives the numbers.
pub(super) fn save(windowed: &Windowed, tensors: &mut Tensors) -> Result<WindowHead> {
    let difference = match &windowed.check {
        Check::Open => None,
        Check::Predicted(predicted) => {
            tensors.put(PREDICTED, predicted)?;
            None
        }
        Check::Done(difference) => Some(difference.to_bits()),
    };
    Ok(WindowHead {
        rect: windowed.rect,
        difference,
    })
}

/// The reverse of [`save`], for latents of the shape `dims`.
pub(super) fn restore(
    head: &WindowHead,
    tensors: &mut Tensors,
    dims: &[usize],
    device: &Device,
) -> Result<Windowed> {
    let rect = head.rect;
    let &[rows, channels, height, width] = dims else {
        return Err(Error::State("its latents have another shape".into()));
    };
    if !rect.fits((height, width)) {
        return Err(Error::State("its window lies outside the picture".into()));
    }
    let check = match head.difference {
        Some(difference) => Check::Done(f64::from_bits(difference)),
        None if tensors.has(PREDICTED) => {
            let predicted = tensors.take(PREDICTED)?;
            let size = [rows, channels, rect.height, rect.width];
            if predicted.dims() != size || predicted.dtype() != DType::F32 {
                return Err(Error::State("its window has another size".into()));
            }
            Check::Predicted(predicted.to_device(device)?)
        }
        None => Check::Open,
    };
    Ok(Windowed { rect, check })
}
