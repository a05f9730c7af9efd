//! The time embedding: diffusers' `Timesteps` and `TimestepEmbedding`.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};

use crate::config::UnetConfig;
use crate::kernels::{Builder, Linear};

/// Sines of the timestep, then two linear layers.
#[derive(Clone, Debug)]
pub(super) struct TimeEmbedding {
    width: usize,
    flip_sin_to_cos: bool,
    freq_shift: f64,
    linear_1: Arc<dyn Linear>,
    linear_2: Arc<dyn Linear>,
}

impl TimeEmbedding {
    pub(super) fn new(config: &UnetConfig, build: &Builder) -> Result<Self> {
        let (width, dim) = (config.levels[0].channels, config.time_embedding_dim);
        Ok(Self {
            width,
            flip_sin_to_cos: config.flip_sin_to_cos,
            freq_shift: config.freq_shift,
            linear_1: build.pp("linear_1").linear(width, dim)?,
            linear_2: build.pp("linear_2").linear(dim, dim)?,
        })
    }

    /// `[rows, 1, dim]`, SiLU applied: every residual block starts with that.
    pub(super) fn forward(
        &self,
        timesteps: &[f64],
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let sines = sinusoids(timesteps, self.width, self.flip_sin_to_cos, self.freq_shift);
        let sines =
            Tensor::from_vec(sines, (timesteps.len(), 1, self.width), device)?.to_dtype(dtype)?;
        let hidden = candle_nn::ops::silu(&self.linear_1.forward(&sines)?)?;
        candle_nn::ops::silu(&self.linear_2.forward(&hidden)?)
    }
}

/// diffusers' `get_timestep_embedding`, in f32 as there: `[timesteps, width]`.
fn sinusoids(timesteps: &[f64], width: usize, cosines_first: bool, shift: f64) -> Vec<f32> {
    let half = width / 2;
    let step = -(10000f64.ln() as f32);
    let scale = (half as f64 - shift) as f32;
    let frequencies: Vec<f32> = (0..half)
        .map(|i| f64::from(step * i as f32 / scale).exp() as f32)
        .collect();
    let mut out = Vec::with_capacity(timesteps.len() * width);
    for &t in timesteps {
        let angles = frequencies.iter().map(|f| t as f32 * f);
        let (sines, cosines) = (angles.clone().map(f32::sin), angles.map(f32::cos));
        if cosines_first {
            out.extend(cosines.chain(sines));
        } else {
            out.extend(sines.chain(cosines));
        }
        out.resize(out.len() + width % 2, 0.0);
    }
    out
}
