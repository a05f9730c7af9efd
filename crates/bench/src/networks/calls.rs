//! One call of each network, and segmentation.

use candle_core::{DType, Device, Tensor};
use limekiln_diffusion::control::Untouched;
use limekiln_diffusion::vae::Vae;
use limekiln_lime::fuse::{Fused, Layer};
use limekiln_lime::{Preset, kmeans};

use super::settings::{Given, Settings};
use super::source;
use super::timed::{Row, timed};
use crate::error::{Error, Result};

/// Tokens of a text.
const TOKENS: usize = 77;

pub(super) fn unet(settings: &Settings, given: &Given) -> Result<Row> {
    let factor = source::factor(settings, given)?;
    let side = latents(settings, factor)?;
    let unet = source::unet(settings, given)?;
    let (rows, channels) = (settings.lanes, unet.config().in_channels);
    let sample = waves(&[rows, channels, side, side], settings.dtype)?;
    let context = unet.config().levels[0].context;
    let text = unet.text(&waves(&[rows, TOKENS, context], settings.dtype)?)?;
    let times = vec![500.0; rows];
    timed("unet", settings, || {
        unet.forward(&sample, &times, &text, &mut Untouched)?;
        Ok(())
    })
}

pub(super) fn encode(settings: &Settings, vae: &Vae) -> Result<Row> {
    let side = latents(settings, vae.config().factor())? * vae.config().factor();
    let pixels = waves(&[settings.lanes, 3, side, side], settings.dtype)?;
    timed("vae encode", settings, || {
        vae.encode_mode(&pixels)?;
        Ok(())
    })
}

pub(super) fn decode(settings: &Settings, vae: &Vae) -> Result<Row> {
    let side = latents(settings, vae.config().factor())?;
    let channels = vae.config().latent_channels;
    let latents = waves(&[settings.lanes, channels, side, side], settings.dtype)?;
    timed("vae decode", settings, || {
        vae.decode(&latents)?;
        Ok(())
    })
}

pub(super) fn text(settings: &Settings, given: &Given) -> Result<Row> {
    let text = source::text(settings, given)?;
    let config = text.config();
    let tokens = TOKENS.min(config.max_position_embeddings);
    let (rows, words) = (settings.lanes, config.vocab_size as u32);
    let ids: Vec<u32> = (0..(rows * tokens) as u32)
        .map(|i| i.wrapping_mul(7919) % words)
        .collect();
    let ids = Tensor::from_vec(ids, (rows, tokens), &Device::Cpu)
        .map_err(limekiln_diffusion::Error::from)?;
    let (lines, width) = ((rows * tokens) as f64, config.hidden_size as f64);
    let weights = width * (4.0 * width + 2.0 * config.intermediate_size as f64);
    let layer = 2.0 * lines * weights + 4.0 * lines * tokens as f64 * width;
    let row = timed("text", settings, || {
        text.encode(&ids)?;
        Ok(())
    })?;
    Ok(Row {
        operations: Some(config.num_hidden_layers as f64 * layer),
        ..row
    })
}

/// As the preset segments a picture of this size, from what every spatial transformer of the U-Net leaves.
pub(super) fn segment(settings: &Settings) -> Result<Row> {
    let locate = Preset::named(&settings.preset)?.locate;
    let locate = locate.ok_or_else(|| {
        Error::Unfit(format!(
            "the preset {} does not locate: choose another",
            settings.preset
        ))
    })?;
    let unet = settings.shape.unet()?;
    let side = latents(settings, settings.shape.vae()?.factor())?;
    let mut layers = Vec::new();
    for (i, level) in unet.levels.iter().enumerate() {
        let (down, up) = (level.attends_down, level.attends_up);
        let count = usize::from(down) * level.layers + usize::from(up) * (level.layers + 1);
        let side = side.div_ceil(1 << i);
        for seed in 0..count {
            layers.push(features(side, level.channels, seed));
        }
    }
    let chosen = &locate.segments;
    timed("segment", settings, || {
        let fused = Fused::new(layers.clone(), locate.grid, locate.corners);
        kmeans::cluster(&fused, chosen.clusters, 42, chosen.starts, chosen.rounds);
        Ok(())
    })
}

/// The side of the latents of a picture.
pub(super) fn latents(settings: &Settings, factor: usize) -> Result<usize> {
    let size = settings.size;
    if size == 0 || !size.is_multiple_of(factor) {
        return Err(Error::Unfit(format!(
            "a side of {size} pixels is no multiple of {factor}, as the model needs: take {}",
            size.next_multiple_of(factor).max(factor)
        )));
    }
    Ok(size / factor)
}

/// Numbers between -1 and 1 without a pattern that a network would notice.
fn waves(dims: &[usize], dtype: DType) -> Result<Tensor> {
    let count: usize = dims.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.618_034).sin()).collect();
    let made = Tensor::from_vec(values, dims, &Device::Cpu).and_then(|made| made.to_dtype(dtype));
    Ok(made.map_err(limekiln_diffusion::Error::from)?)
}

/// Features of one layer, `side` cells a side: smooth in space and with structure, so that clustering has work to do.
pub fn features(side: usize, channels: usize, seed: usize) -> Layer {
    let value = |cell: usize, channel: usize| {
        let (y, x) = (cell / side, cell % side);
        let hash = (channel * 2_654_435_761 + seed * 40_503) % 9973;
        let (wave, phase) = (1 + hash % 5, hash as f32);
        let mixed = (cell * 7919 + channel * 104_729 + seed * 31) % 1009;
        ((y * wave) as f32 / side as f32 * 3.0 + phase).sin()
            + ((x * (6 - wave)) as f32 / side as f32 * 3.0 - phase).cos()
            + mixed as f32 / 1009.0
    };
    let data = (0..side * side)
        .flat_map(|cell| (0..channels).map(move |channel| value(cell, channel)))
        .collect();
    Layer {
        height: side,
        width: side,
        channels,
        data,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Shape, What, run};
    use super::*;

    #[test]
    fn every_network_is_measured_at_odd_sizes_too() {
        for (what, parts) in [(What::Unet, 1), (What::Vae, 2), (What::Text, 1)] {
            let settings = Settings {
                what,
                shape: Shape::Rooms,
                lanes: 2,
                size: 36,
                dtype: DType::F32,
                calls: 2,
                profile: what != What::Text,
                preset: "fast".to_owned(),
            };
            let rows = run(&settings, Given::Random, |_| {}).unwrap();
            assert_eq!(rows.len(), parts);
            for row in rows {
                assert!(0.0 < row.min_s && row.min_s <= row.median_s, "{row:?}");
                assert_eq!(row.profile.is_empty(), what == What::Text);
                assert!(row.operations.unwrap() > 1e6);
                let rest = row.profile.last().map_or(0.0, |part| part.seconds);
                assert!(rest < row.median_s, "{row:?}");
            }
            let odd = Settings {
                size: 30,
                ..settings
            };
            if what != What::Text {
                let error = run(&odd, Given::Random, |_| {}).unwrap_err().to_string();
                assert!(error.contains("take 32"), "{error}");
            }
        }
    }
}
