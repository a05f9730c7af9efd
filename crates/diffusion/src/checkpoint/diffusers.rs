//! Folders in diffusers layout, on disk, in the hub's cache or in the binary.

use std::collections::BTreeSet;

use serde_json::Value;

use super::component::{Component, TEXT_INERT};
use super::files::Files;
use super::folder::Folder;
use super::opened::{Checkpoint, OpenOptions};
use super::reader::Reader;
use super::select::{self, Part, TEXT, UNET, VAE, Weights};
use super::table::table;
use super::tensors::Tensors;
use crate::Error;
use crate::config::{TextConfig, UnetConfig, VaeConfig};
use crate::scheduler::SchedulerConfig;

pub(super) fn open(
    folder: &Folder,
    name: String,
    options: &OpenOptions,
) -> Result<Checkpoint, Error> {
    let variant = options.variant.as_deref();
    select::check_variant(folder.names(), variant, &folder.path(""))?;
    let mut files = Files::default();
    let mut reader = Reader {
        folder,
        files: &mut files,
    };
    let unet = reader.configuration(&UNET.config(), UnetConfig::from_json)?;
    let vae = reader.configuration(&VAE.config(), VaeConfig::from_json)?;
    let text = reader.configuration(&TEXT.config(), TextConfig::from_json)?;
    let scheduler = reader.configuration(select::SCHEDULER, SchedulerConfig::from_json)?;
    let tokenizer = reader.tokenizer("tokenizer/", None)?.ok_or_else(|| {
        folder.missing(
            "tokenizer/vocab.json",
            "the tokenizer's vocab.json and merges.txt, or its tokenizer.json",
        )
    })?;
    let unet_weights = weights(&mut reader, &UNET, variant)?;
    let vae_weights = vae_names(weights(&mut reader, &VAE, variant)?);
    let text_weights = text_names(weights(&mut reader, &TEXT, variant)?);
    Ok(Checkpoint {
        name,
        tokenizer,
        unet: Component::new(UNET.folder, unet, unet_weights),
        vae: Component::new(VAE.folder, vae, vae_weights),
        text: Component::new(TEXT.folder, text, text_weights),
        scheduler,
        instruction_suffix: options.instruction_suffix.clone(),
        warnings: Vec::new(),
        files: files.into(),
    })
}

/// The tensors of one network, out of one file or of shards.
fn weights(reader: &mut Reader<'_>, part: &Part, variant: Option<&str>) -> Result<Tensors, Error> {
    let folder = reader.folder;
    let hint = "the checkpoint's weights";
    let none = || {
        folder.missing(
            &format!("{}/*.safetensors", part.folder),
            "no weights, in none of the layouts that diffusers writes",
        )
    };
    match part.weights(folder.names(), variant).ok_or_else(none)? {
        Weights::Single(name) => table(&reader.open(&name, hint)?),
        Weights::Sharded { index, .. } => {
            let blob = reader.open(&index, hint)?;
            let json: Value = serde_json::from_str(blob.text()?)
                .map_err(|e| blob.damaged(format!("not JSON ({e})")))?;
            let map = json["weight_map"]
                .as_object()
                .ok_or_else(|| blob.damaged("has no weight_map"))?;
            let shards: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
            let mut tensors = Tensors::new();
            for shard in shards {
                let name = format!("{}/{shard}", part.folder);
                let shard = reader.open(&name, "a shard that the index names")?;
                tensors.append(&mut table(&shard)?);
            }
            if let Some(lost) = map.keys().find(|name| !tensors.contains_key(*name)) {
                return Err(blob.damaged(format!("names tensor {lost}, which no shard holds")));
            }
            Ok(tensors)
        }
    }
}

/// Names and shapes that diffusers wrote before 0.18: linear layers called by their role, some as 1x1 convolutions.
fn vae_names(tensors: Tensors) -> Tensors {
    const OLD: [(&str, &str); 4] = [
        ("query", "to_q"),
        ("key", "to_k"),
        ("value", "to_v"),
        ("proj_attn", "to_out.0"),
    ];
    let renamed = tensors.into_iter().map(|(name, stored)| {
        let Some((block, layer)) = name.split_once(".attentions.0.") else {
            return (name, stored);
        };
        let new = OLD.iter().find_map(|(old, new)| {
            Some(format!(
                "{block}.attentions.0.{new}.{}",
                layer.strip_prefix(old)?.strip_prefix('.')?
            ))
        });
        (new.unwrap_or_else(|| name.clone()), stored.linear())
    });
    renamed.collect()
}

/// transformers 5 drops the prefix that all earlier versions wrote.
fn text_names(tensors: Tensors) -> Tensors {
    let prefixed = tensors.keys().any(|name| name.starts_with("text_model."));
    let name_of = |name: String| {
        if prefixed || TEXT_INERT.contains(&name.as_str()) {
            name
        } else {
            format!("text_model.{name}")
        }
    };
    let named = tensors
        .into_iter()
        .map(|(name, stored)| (name_of(name), stored));
    named
        .filter(|(name, _)| !TEXT_INERT.contains(&name.as_str()))
        .collect()
}
