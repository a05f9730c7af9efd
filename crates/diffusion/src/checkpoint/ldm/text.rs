//! `cond_stage_model.*`: transformers' CLIP in Stable Diffusion 1, OpenCLIP with fused projections in 2.

use serde_json::json;

use super::names::{Network, count, shape, translate};
use crate::Error;
use crate::checkpoint::blob::Blob;
use crate::checkpoint::component::TEXT_INERT;
use crate::checkpoint::tensors::Tensors;

/// Width of a head in every CLIP.
const HEAD: usize = 64;

pub(super) fn network(
    tensors: Tensors,
    spare: &mut Vec<String>,
    blob: &Blob,
) -> Result<Network, Error> {
    if tensors.keys().any(|name| name.starts_with("model.")) {
        return open_clip(tensors, spare, blob);
    }
    let tensors = translate(tensors, spare, whole_name, |name| {
        let name = whole_name(name).unwrap_or_else(|| name.to_owned());
        let name = name.strip_prefix("transformer.").unwrap_or(&name);
        TEXT_INERT.contains(&name)
    });
    let layers = count(&tensors, "text_model.encoder.layers.");
    let config = config(&tensors, layers, "quick_gelu", blob)?;
    Ok(Network { tensors, config })
}

/// Some programs that merge checkpoints leave `text_model.` out.
fn whole_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("transformer.")?;
    let inside = ["embeddings.", "encoder.", "final_layer_norm."];
    if inside.iter().any(|part| name.starts_with(part)) {
        return Some(format!("text_model.{name}"));
    }
    name.starts_with("text_model.").then(|| name.to_owned())
}

/// The last layer is dropped: Stable Diffusion 2 reads the penultimate one, and diffusers' copies end there.
fn open_clip(tensors: Tensors, spare: &mut Vec<String>, blob: &Blob) -> Result<Network, Error> {
    let layers = count(&tensors, "model.transformer.resblocks.").saturating_sub(1);
    let last = format!("model.transformer.resblocks.{layers}.");
    let inert = [
        "model.text_projection",
        "model.logit_scale",
        "model.attn_mask",
    ];
    let renamed = translate(tensors, spare, translated, |name| {
        inert.contains(&name) || name.starts_with(&last)
    });
    let mut tensors = Tensors::new();
    for (name, stored) in renamed {
        let Some((layer, kind)) = name.split_once("in_proj_") else {
            tensors.insert(name, stored);
            continue;
        };
        for (i, projection) in ["q_proj", "k_proj", "v_proj"].into_iter().enumerate() {
            let part = stored.part(i, 3).ok_or_else(|| Error::Tensor {
                component: "text_encoder",
                problem: format!(
                    "tensor {} of shape {:?} in {} does not divide into q, k and v",
                    stored.name, stored.shape, blob.path
                ),
            })?;
            tensors.insert(format!("{layer}{projection}.{kind}"), part);
        }
    }
    let config = config(&tensors, layers, "gelu", blob)?;
    Ok(Network { tensors, config })
}

fn translated(name: &str) -> Option<String> {
    let parts: Vec<_> = name.split('.').collect();
    Some(match parts[..] {
        ["model", "token_embedding", "weight"] => {
            "text_model.embeddings.token_embedding.weight".into()
        }
        ["model", "positional_embedding"] => {
            "text_model.embeddings.position_embedding.weight".into()
        }
        ["model", "ln_final", leaf] => format!("text_model.final_layer_norm.{leaf}"),
        ["model", "transformer", "resblocks", i, ref rest @ ..] => {
            let rest = match rest {
                ["ln_1", leaf] => format!("layer_norm1.{leaf}"),
                ["ln_2", leaf] => format!("layer_norm2.{leaf}"),
                ["attn", fused @ ("in_proj_weight" | "in_proj_bias")] => {
                    format!("self_attn.{fused}")
                }
                ["attn", "out_proj", leaf] => format!("self_attn.out_proj.{leaf}"),
                ["mlp", "c_fc", leaf] => format!("mlp.fc1.{leaf}"),
                ["mlp", "c_proj", leaf] => format!("mlp.fc2.{leaf}"),
                _ => return None,
            };
            format!("text_model.encoder.layers.{i}.{rest}")
        }
        _ => return None,
    })
}

fn config(
    tensors: &Tensors,
    layers: usize,
    activation: &str,
    blob: &Blob,
) -> Result<serde_json::Value, Error> {
    let shape = |name: &str| shape(tensors, name, "text_encoder", blob);
    let tokens = shape("text_model.embeddings.token_embedding.weight")?;
    Ok(json!({
        "vocab_size": tokens[0],
        "hidden_size": tokens[1],
        "intermediate_size": shape("text_model.encoder.layers.0.mlp.fc1.weight")?[0],
        "num_hidden_layers": layers,
        "num_attention_heads": (tokens[1] / HEAD).max(1),
        "max_position_embeddings": shape("text_model.embeddings.position_embedding.weight")?[0],
        "hidden_act": activation,
    }))
}
