//! Folders in diffusers layout, on disk, in the hub's cache or in the binary.

use std::collections::BTreeSet;

use serde_json::Value;

use super::component::{Component, TEXT_INERT};
use super::files::Files;
use super::folder::Folder;
use super::opened::{Checkpoint, OpenOptions};
use super::select::{self, Part, TEXT, UNET, VAE, Weights};
use super::table::table;
use super::tensors::Tensors;
use crate::Error;
use crate::config::{TextConfig, UnetConfig, VaeConfig};
use crate::scheduler::SchedulerConfig;
use crate::tokenizer::{Tokenizer, TokenizerFiles};

pub(super) fn open(
    folder: &Folder,
    name: String,
    options: &OpenOptions,
) -> Result<Checkpoint, Error> {
    let variant = options.variant.as_deref();
    select::check_variant(folder.names(), variant, &folder.path(""))?;
    let mut files = Files::default();
    let unet = configured(folder, &UNET, UnetConfig::from_json, &mut files)?;
    let vae = configured(folder, &VAE, VaeConfig::from_json, &mut files)?;
    let text = configured(folder, &TEXT, TextConfig::from_json, &mut files)?;
    let scheduler = configuration(
        folder,
        select::SCHEDULER,
        SchedulerConfig::from_json,
        &mut files,
    )?;
    let tokenizer = tokenizer(folder, "tokenizer/", None, &mut files)?.ok_or_else(|| {
        folder.missing(
            "tokenizer/vocab.json",
            "the tokenizer's vocab.json and merges.txt, or its tokenizer.json",
        )
    })?;
    Ok(Checkpoint {
        name,
        tokenizer,
        unet: Component::new(
            UNET.folder,
            unet,
            weights(folder, &UNET, variant, &mut files)?,
        ),
        vae: Component::new(
            VAE.folder,
            vae,
            vae_names(weights(folder, &VAE, variant, &mut files)?),
        ),
        text: Component::new(
            TEXT.folder,
            text,
            text_names(weights(folder, &TEXT, variant, &mut files)?),
        ),
        scheduler,
        instruction_suffix: options.instruction_suffix.clone(),
        files: files.into(),
    })
}

fn configured<C>(
    folder: &Folder,
    part: &Part,
    read: fn(&str) -> Result<C, Error>,
    files: &mut Files,
) -> Result<C, Error> {
    configuration(folder, &part.config(), read, files)
}

/// Reads a configuration; an error in it names the file.
pub(super) fn configuration<C>(
    folder: &Folder,
    name: &str,
    read: fn(&str) -> Result<C, Error>,
    files: &mut Files,
) -> Result<C, Error> {
    let blob = files.open(
        folder,
        name,
        "a checkpoint in diffusers layout must have it",
    )?;
    read(blob.text()?).map_err(|e| blob.damaged(e.to_string()))
}

/// Reads the tokenizer below `prefix`, if there is one; `config` stands in for a missing `tokenizer_config.json`.
pub(super) fn tokenizer(
    folder: &Folder,
    prefix: &str,
    config: Option<&str>,
    files: &mut Files,
) -> Result<Option<Tokenizer>, Error> {
    let whole = format!("{prefix}tokenizer.json");
    if !folder.has(&whole) && !folder.has(&format!("{prefix}vocab.json")) {
        return Ok(None);
    }
    let mut found = Vec::new();
    for name in select::TOKENIZER {
        // transformers reads the pair only where there is no tokenizer.json.
        let superseded = folder.has(&whole) && matches!(name, "vocab.json" | "merges.txt");
        if folder.has(&format!("{prefix}{name}")) && !superseded {
            found.push((name, files.open(folder, &format!("{prefix}{name}"), "")?));
        }
    }
    let text = |name: &str| {
        found
            .iter()
            .find(|(found, _)| *found == name)
            .map(|(_, blob)| blob.text())
            .transpose()
    };
    let texts = TokenizerFiles {
        tokenizer_json: text("tokenizer.json")?,
        vocab: text("vocab.json")?,
        merges: text("merges.txt")?,
        config: text("tokenizer_config.json")?.or(config),
        special_tokens_map: text("special_tokens_map.json")?,
        added_tokens: text("added_tokens.json")?,
    };
    let place = folder.path(prefix.trim_end_matches('/'));
    let named = |e| Error::Damaged {
        path: place,
        reason: format!("{e}"),
    };
    Tokenizer::from_files(&texts).map(Some).map_err(named)
}

fn weights(
    folder: &Folder,
    part: &Part,
    variant: Option<&str>,
    files: &mut Files,
) -> Result<Tensors, Error> {
    let hint = "the checkpoint's weights";
    let none = || {
        folder.missing(
            &format!("{}/*.safetensors", part.folder),
            "no weights, in none of the layouts that diffusers writes",
        )
    };
    match part.weights(folder.names(), variant).ok_or_else(none)? {
        Weights::Single(name) => table(&files.open(folder, &name, hint)?),
        Weights::Sharded { index, .. } => {
            let blob = files.open(folder, &index, hint)?;
            let json: Value = serde_json::from_str(blob.text()?)
                .map_err(|e| blob.damaged(format!("not JSON ({e})")))?;
            let map = json["weight_map"]
                .as_object()
                .ok_or_else(|| blob.damaged("has no weight_map"))?;
            let shards: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
            let mut tensors = Tensors::new();
            for shard in shards {
                let shard = files.open(
                    folder,
                    &format!("{}/{shard}", part.folder),
                    "a shard that the index names",
                )?;
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
