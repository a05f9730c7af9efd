//! Single files of the original Latent Diffusion code: InstructPix2Pix's and HIVE's `.ckpt`, and their safetensors.
//!
//! Such a file names tensors differently and carries neither configuration nor tokenizer. Names are translated; what a
//! configuration would say is read off the shapes, unless a folder in diffusers layout says it.

mod text;
mod unet;
mod vae;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::blob::Blob;
use super::tensors::{Stored, Tensors, table};
use crate::Error;

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

/// One network's translated tensors and its configuration as diffusers would write it.
pub(super) struct Network {
    pub(super) tensors: Tensors,
    pub(super) config: Value,
}

/// What one file holds.
pub(super) struct Parts {
    pub(super) unet: Network,
    pub(super) vae: Network,
    pub(super) text: Network,
    /// Whether the text encoder is OpenCLIP's, as in Stable Diffusion 2.
    pub(super) open_clip: bool,
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
    for (name, stored) in tensors {
        if INERT.contains(&name.as_str())
            || INERT_BELOW.iter().any(|prefix| name.starts_with(prefix))
        {
            continue;
        }
        let found = parts
            .iter_mut()
            .find_map(|(prefix, part)| Some((name.strip_prefix(prefix)?.to_owned(), part)));
        let Some((rest, part)) = found else {
            return Err(no_place("checkpoint", &stored));
        };
        part.insert(rest, stored);
    }
    let mut take = |prefix| parts.remove(prefix).unwrap_or_default();
    let (unet, vae, text) = (take(UNET), take(VAE), take(TEXT));
    let open_clip = text.keys().any(|name| name.starts_with("model."));
    Ok(Parts {
        unet: unet::network(unet, blob)?,
        vae: vae::network(vae, blob)?,
        text: text::network(text, blob)?,
        open_clip,
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

/// Translates names one by one; a name without translation is an error.
fn translate(
    component: &'static str,
    tensors: Tensors,
    mut name_of: impl FnMut(&str) -> Option<String>,
    mut inert: impl FnMut(&str) -> bool,
) -> Result<Tensors, Error> {
    let mut translated = Tensors::new();
    for (name, stored) in tensors {
        if inert(&name) {
            continue;
        }
        let Some(new) = name_of(&name) else {
            return Err(no_place(component, &stored));
        };
        translated.insert(new, stored);
    }
    Ok(translated)
}

fn no_place(component: &'static str, stored: &Stored) -> Error {
    let problem = format!(
        "no network has a place for tensor {} of {}",
        stored.name, stored.blob.path
    );
    Error::Tensor { component, problem }
}

pub(super) fn not_instruct(place: &str, channels: usize, latents: usize) -> String {
    let kind = if channels == latents {
        "this is plain Stable Diffusion; "
    } else {
        ""
    };
    format!(
        "{place}: the U-Net takes {channels} channels, but InstructPix2Pix needs {}, {latents} of noise and {latents} of the picture: \
         {kind}use a checkpoint trained for instructions",
        2 * latents
    )
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

/// The shape of a tensor that the configuration is read from.
fn shape<'a>(
    tensors: &'a Tensors,
    name: &str,
    component: &'static str,
    blob: &Blob,
) -> Result<&'a [usize], Error> {
    let found = tensors
        .get(name)
        .filter(|stored| stored.shape.len() >= 2)
        .map(|stored| stored.shape.as_slice());
    found.ok_or_else(|| Error::Tensor {
        component,
        problem: format!("tensor {name} is missing or misshapen in {}", blob.path),
    })
}

/// One more than the largest number between `before` and the next dot, over all names; 0 when there is none.
fn count(tensors: &Tensors, before: &str) -> usize {
    let number = |name: &String| {
        name.strip_prefix(before)?
            .split('.')
            .next()?
            .parse::<usize>()
            .ok()
    };
    // No network is deeper; a damaged name shall not make loops long.
    tensors
        .keys()
        .filter_map(number)
        .filter(|&n| n < 1000)
        .max()
        .map_or(0, |n| n + 1)
}
