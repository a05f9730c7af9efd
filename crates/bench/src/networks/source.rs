//! Networks from random weights or from a model.

use candle_core::Device;
use limekiln_diffusion::checkpoint::{Checkpoint, OpenOptions, Source};
use limekiln_diffusion::model::Model;
use limekiln_diffusion::text::TextEncoder;
use limekiln_diffusion::unet::Unet;
use limekiln_diffusion::vae::Vae;

use super::random::weights;
use super::settings::{Given, Settings};
use crate::error::Result;

/// How many pixels of the picture one pixel of the latents stands for, along a side.
pub(super) fn factor(settings: &Settings, given: &Given) -> Result<usize> {
    Ok(match given {
        Given::Checkpoint { open, .. } => open()?.vae.config.factor(),
        Given::Random => settings.shape.vae()?.factor(),
    })
}

/// The U-Net.
pub(super) fn unet(settings: &Settings, given: &Given) -> Result<Unet> {
    Ok(match given {
        Given::Checkpoint { open, .. } => {
            let checkpoint = open()?;
            let weights = checkpoint.unet.var_builder(settings.dtype, &Device::Cpu);
            Unet::new(weights, &checkpoint.unet.config)?
        }
        Given::Random => Unet::new(weights(settings.dtype), &settings.shape.unet()?)?,
    })
}

/// The VAE.
pub(super) fn vae(settings: &Settings, given: &Given) -> Result<Vae> {
    Ok(match given {
        Given::Checkpoint { open, .. } => {
            let checkpoint = open()?;
            let weights = checkpoint.vae.var_builder(settings.dtype, &Device::Cpu);
            Vae::new(weights, &checkpoint.vae.config)?
        }
        Given::Random => Vae::new(weights(settings.dtype), &settings.shape.vae()?)?,
    })
}

/// The text encoder.
pub(super) fn text(settings: &Settings, given: &Given) -> Result<TextEncoder> {
    Ok(match given {
        Given::Checkpoint { open, .. } => {
            let checkpoint = open()?;
            let weights = checkpoint.text.var_builder(settings.dtype, &Device::Cpu);
            TextEncoder::new(weights, &checkpoint.text.config)?
        }
        Given::Random => TextEncoder::new(weights(settings.dtype), &settings.shape.text()?)?,
    })
}

/// All of them, with the built-in tokenizer and schedule where weights are drawn.
pub(super) fn model(settings: &Settings, given: Given) -> Result<Model> {
    match given {
        Given::Checkpoint { open, window_least } => Ok(Model {
            window_least,
            ..Model::load(open()?, &Device::Cpu, settings.dtype)?
        }),
        Given::Random => {
            let source = Source::Embedded(limekiln_rooms::checkpoint_files());
            let built_in = Checkpoint::open(&source, &OpenOptions::default())?;
            Ok(Model {
                name: "random".to_owned(),
                fingerprint: String::new(),
                tokenizer: built_in.tokenizer,
                text: text(settings, &given)?,
                unet: unet(settings, &given)?,
                vae: vae(settings, &given)?,
                scheduler: built_in.scheduler,
                instruction_suffix: None,
                warnings: Vec::new(),
                window_least: None,
                device: Device::Cpu,
                dtype: settings.dtype,
            })
        }
    }
}
