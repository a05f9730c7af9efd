//! Single files of the original Latent Diffusion code: InstructPix2Pix's and HIVE's `.ckpt`, and their safetensors.
//!
//! Such a file names tensors differently and carries neither configuration nor tokenizer. Names are translated; what a
//! configuration would say is read off the shapes, unless a folder in diffusers layout says it.

mod names;
mod text;
mod unet;
mod vae;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::blob::Blob;
use super::opened::not_instruct;
use super::table::table;
use super::tensors::Tensors;
use crate::Error;
pub(super) use names::Network;

const UNET: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";
const TEXT: &str = "cond_stage_model.";
const EMA: &str = "model_ema.";

/// The diffusion schedule's buffers, Lightning's and the autoencoder's training losses: nothing reads them.
const INERT: [&str; 16] = [
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "logvar",
    "lvlb_weights",
    "scale_factor",
    "global_step",
];
const INERT_BELOW: [&str; 3] = [
    EMA,
    "first_stage_model.loss.",
    "first_stage_model.model_ema.",
];

/// What one file holds.
pub(super) struct Parts {
    pub(super) unet: Network,
    pub(super) vae: Network,
    pub(super) text: Network,
    /// Whether the text encoder is OpenCLIP's, as in Stable Diffusion 2.
    pub(super) open_clip: bool,
    /// Names of tensors that belong to no network.
    pub(super) spare: Vec<String>,
}

/// Reads, sorts and translates a file's tensors; `ema` takes the averaged U-Net weights.
pub(super) fn read(blob: &Arc<Blob>, ema: bool) -> Result<Parts, Error> {
    let mut tensors = table(blob)?;
    let first = format!("{UNET}input_blocks.0.0.weight");
    let Some(stored) = tensors.get(&first) else {
        return Err(Error::Refused(format!(
            "{} holds no diffusion network (no tensor {first}); for a diffusers checkpoint give the folder with model_index.json",
            blob.path
        )));
    };
    if let [_, channels, _, _] = stored.shape[..]
        && channels != 8
    {
        return Err(Error::Refused(not_instruct(&blob.path, channels, 4)));
    }
    if ema {
        average(&mut tensors, blob)?;
    }
    let mut parts: BTreeMap<&str, Tensors> = [UNET, VAE, TEXT]
        .map(|prefix| (prefix, Tensors::new()))
        .into();
    let mut spare = Vec::new();
    for (name, stored) in tensors {
        if INERT.contains(&name.as_str())
            || INERT_BELOW.iter().any(|prefix| name.starts_with(prefix))
        {
            continue;
        }
        let found = parts
            .iter_mut()
            .find_map(|(prefix, part)| Some((name.strip_prefix(prefix)?.to_owned(), part)));
        match found {
            Some((rest, part)) => drop(part.insert(rest, stored)),
            None => spare.push(name),
        }
    }
    let mut take = |prefix| parts.remove(prefix).unwrap_or_default();
    let (unet, vae, text) = (take(UNET), take(VAE), take(TEXT));
    let open_clip = text.keys().any(|name| name.starts_with("model."));
    Ok(Parts {
        unet: unet::network(unet, &mut spare, blob)?,
        vae: vae::network(vae, &mut spare, blob)?,
        text: text::network(text, &mut spare, blob)?,
        open_clip,
        spare,
    })
}

/// Replaces the U-Net's tensors by their moving averages, whose names lost their dots (`LitEma`).
fn average(tensors: &mut Tensors, blob: &Blob) -> Result<(), Error> {
    let names: Vec<_> = tensors
        .keys()
        .filter(|name| name.starts_with(UNET))
        .cloned()
        .collect();
    if !tensors.keys().any(|name| name.starts_with(EMA)) {
        return Err(Error::Refused(format!(
            "{} holds no EMA weights: leave the EMA switch off",
            blob.path
        )));
    }
    for name in names {
        let averaged = format!(
            "{EMA}{}",
            name.trim_start_matches("model.").replace('.', "")
        );
        let stored = tensors.get(&averaged).cloned();
        let missing = || Error::Tensor {
            component: "unet",
            problem: format!("tensor {averaged} is missing in {}", blob.path),
        };
        tensors.insert(name, stored.ok_or_else(missing)?);
    }
    Ok(())
}

/// The schedule that every published checkpoint of this kind was trained with; diffusers' Euler ancestral steps it.
pub(super) fn scheduler() -> Value {
    json!({
        "_class_name": "EulerAncestralDiscreteScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": "epsilon",
    })
}
