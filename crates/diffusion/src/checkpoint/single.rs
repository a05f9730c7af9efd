//! A single LDM file, completed by what lies beside it or can be told from its shapes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::blob::Blob;
use super::component::{Component, left_out};
use super::files::Files;
use super::folder::Folder;
use super::ldm::{self, Network};
use super::opened::{Checkpoint, OpenOptions};
use super::reader::Reader;
use super::select::{self, Part, TEXT, UNET, VAE};
use crate::Error;
use crate::config::{TextConfig, UnetConfig, VaeConfig};
use crate::scheduler::SchedulerConfig;
use crate::tokenizer::Tokenizer;

/// Every Stable Diffusion's vocabulary.
const VOCABULARY: &str = "openai/clip-vit-large-patch14";
/// OpenCLIP pads with token 0, as `stabilityai/stable-diffusion-2`'s own tokenizer says.
const OPEN_CLIP: &str = r#"{"pad_token": "!"}"#;
/// What HIVE's reward-conditioned model was trained to read after each instruction.
const REWARD: &str = ", image quality is five out of five";

pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Checkpoint, Error> {
    let blob = Arc::new(Blob::map(path)?);
    let mut files = Files::default();
    files.add("checkpoint", &blob);
    files.setting(format!("ema {}", options.ema));
    let parts = ldm::read(&blob, options.ema)?;
    let mut warnings = Vec::from_iter(left_out("the model", &parts.spare, &blob.path));
    let beside = match &options.companion {
        Some(folder) => Folder::disk(folder)?,
        None => Folder::disk(
            path.parent()
                .filter(|p| !p.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        )?,
    };
    let mut reader = Reader {
        folder: &beside,
        files: &mut files,
    };
    let scheduler = if beside.has(select::SCHEDULER) {
        reader.configuration(select::SCHEDULER, SchedulerConfig::from_json)?
    } else {
        if parts.open_clip {
            warnings.push(format!(
                "{} does not say what it predicts: taking it for noise (epsilon); a v-prediction model needs its scheduler/scheduler_config.json beside it",
                blob.path
            ));
        }
        SchedulerConfig::from_json(&ldm::scheduler().to_string())?
    };
    let tokenizer = vocabulary(&mut reader, parts.open_clip, options)?;
    let unet = component(&mut reader, &UNET, parts.unet, UnetConfig::from_json, &blob)?;
    let vae = component(&mut reader, &VAE, parts.vae, VaeConfig::from_json, &blob)?;
    let text = component(&mut reader, &TEXT, parts.text, TextConfig::from_json, &blob)?;
    Ok(Checkpoint {
        name: path
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        tokenizer,
        unet,
        vae,
        text,
        scheduler,
        instruction_suffix: options.instruction_suffix.clone().or_else(|| suffix(path)),
        warnings,
        files: files.into(),
    })
}

/// The configuration beside the file, or else the one that its shapes imply.
fn component<C>(
    reader: &mut Reader<'_>,
    part: &Part,
    network: Network,
    read: fn(&str) -> Result<C, Error>,
    blob: &Blob,
) -> Result<Component<C>, Error> {
    let config = if reader.folder.has(&part.config()) {
        reader.configuration(&part.config(), read)?
    } else {
        let implied: &Value = &network.config;
        read(&implied.to_string()).map_err(|e| {
            blob.damaged(format!(
                "its shapes imply a network that is not supported ({e})"
            ))
        })?
    };
    Ok(Component::new(part.folder, config, network.tensors))
}

/// The tokenizer beside the file, or else the vocabulary in the hub's cache.
fn vocabulary(
    reader: &mut Reader<'_>,
    open_clip: bool,
    options: &OpenOptions,
) -> Result<Tokenizer, Error> {
    let beside = reader.folder;
    let config = open_clip.then_some(OPEN_CLIP);
    for prefix in ["tokenizer/", ""] {
        if let Some(found) = reader.tokenizer(prefix, config)? {
            return Ok(found);
        }
    }
    let needed = |names: &BTreeSet<String>| match ["vocab.json", "merges.txt"]
        .iter()
        .find(|name| !names.contains(**name))
    {
        Some(lost) => Err(Error::Missing {
            path: (*lost).into(),
            hint: "the repository has no vocabulary".into(),
        }),
        None => Ok(vec!["vocab.json".to_owned(), "merges.txt".to_owned()]),
    };
    let missing = |reason: String| {
        beside.missing("tokenizer/vocab.json", &format!("a single file carries no tokenizer; put CLIP's vocab.json and merges.txt there ({reason})"))
    };
    let folder = options
        .hub()
        .snapshot(VOCABULARY, needed)
        .map_err(|e| missing(e.to_string()))?;
    // Only the pair, so that the result does not depend on what else the cache happens to hold.
    let pair = Folder::disk(&folder)?.only(&["vocab.json", "merges.txt"]);
    let mut reader = Reader {
        folder: &pair,
        files: &mut *reader.files,
    };
    reader
        .tokenizer("", config)?
        .ok_or_else(|| missing("none in the hub's cache".into()))
}

/// HIVE tells its variants apart by file name only: `hive_rw_condition.ckpt` is the conditional one.
fn suffix(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_string_lossy().to_lowercase();
    (name.starts_with("hive") && name.contains("condition")).then(|| REWARD.to_owned())
}
