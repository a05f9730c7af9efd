//! How large a call of the network pays: measured once, when the model is warmed up.

use std::time::{Duration, Instant};

use candle_core::{DType, Tensor};
use limekiln_diffusion::control::Untouched;
use limekiln_diffusion::model::Model;
use limekiln_diffusion::unet::TextContext;
use limekiln_lime::lanes::LANES;

use crate::editor::contract::BoxError;

/// Most edits that are tried in one call.
const EDITS_MOST: usize = 8;
/// A larger call pays where a row of it takes this share of what it took before, or less.
const PAYS: f64 = 0.99;
/// A call that takes longer keeps others waiting for what it saves.
const CALL_MOST: Duration = Duration::from_millis(400);

/// Rows times latent pixels of the largest call that pays, from calls at the model's own size of so many latent pixels a side: a
/// smaller picture has more rows in it. At least one edit's.
pub(super) fn measured(model: &Model, side: usize) -> Result<u64, BoxError> {
    let side = side.max(1);
    let (mut best, mut edits) = (LANES.len(), 1);
    let mut fastest = f64::INFINITY;
    while edits <= EDITS_MOST {
        let rows = edits * LANES.len();
        // A device may lack the memory for more.
        let took = match timed(model, rows, side) {
            Ok(took) => took,
            Err(_) if edits > 1 => break,
            Err(error) => return Err(error),
        };
        let by_row = took.as_secs_f64() / rows as f64;
        if edits > 1 && by_row > PAYS * fastest {
            break;
        }
        (best, fastest) = (rows, by_row);
        if took > CALL_MOST {
            break;
        }
        edits *= 2;
    }
    Ok((best * side * side) as u64)
}

/// How long a call takes, the faster of two.
fn timed(model: &Model, rows: usize, side: usize) -> Result<Duration, BoxError> {
    let channels = model.unet.config().in_channels;
    let sample = Tensor::zeros((rows, channels, side, side), DType::F32, &model.device)?;
    let sample = sample.to_dtype(model.dtype)?;
    let text = model.unet.text(&model.empty_text()?)?;
    let text = TextContext::cat(&vec![&text; rows])?;
    let mut least = Duration::MAX;
    for _ in 0..2 {
        let began = Instant::now();
        let output = model
            .unet
            .forward(&sample, &vec![500.0; rows], &text, &mut Untouched)?;
        // A device computes until it is asked for a number.
        output.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?;
        least = least.min(began.elapsed());
        if least > CALL_MOST {
            break;
        }
    }
    Ok(least)
}
