//! The model that the arguments name.

use std::path::Path;

use anyhow::{Context, Result};
use limekiln_diffusion::Error;
use limekiln_diffusion::checkpoint::{Checkpoint, Hub, OpenOptions, Progress, Source};
use limekiln_diffusion::device::{DeviceChoice, DtypeChoice, paths};
use limekiln_diffusion::model::Model;

use crate::args::ModelArgs;
use crate::download;
use crate::settings::Usage;

/// The built-in model's name on the command line.
pub(crate) const BUILT_IN: &str = "rooms";
/// Side of the pictures that the built-in model was trained on, in pixels.
const SIZE_BUILT_IN: u32 = limekiln_rooms::SIDE;
/// Side of the pictures that published checkpoints were trained on, in pixels and in latents.
const SIZE: u32 = 512;
const LATENTS: u32 = 64;

/// The model's source and device as the arguments have them: checked, but not opened.
pub(crate) struct Choice {
    source: Source,
    options: OpenOptions,
    pub(crate) built_in: bool,
    pub(crate) device: DeviceChoice,
    dtype: Option<DtypeChoice>,
}

impl Choice {
    /// A model by its name alone, on the processor.
    pub(crate) fn on_processor(model: &str) -> Self {
        Self {
            source: source(model),
            options: OpenOptions::default(),
            built_in: model == BUILT_IN,
            device: DeviceChoice::Cpu,
            dtype: None,
        }
    }

    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// [`Usage`] for a device or number type that there is not.
    pub(crate) fn new(args: &ModelArgs) -> Result<Self> {
        let device = args
            .device
            .parse()
            .map_err(|error| Usage(format!("--device: {error}")))?;
        let dtype = args.dtype.as_deref().map(str::parse).transpose();
        let dtype = dtype.map_err(|error| Usage(format!("--dtype: {error}")))?;
        paths().map_err(|error| Usage(error.to_string()))?;
        let options = OpenOptions {
            ema: args.ema,
            variant: args.variant.clone(),
            companion: args.companion.clone(),
            ..OpenOptions::default()
        };
        Ok(Self {
            source: source(&args.model),
            options,
            built_in: args.model == BUILT_IN,
            device,
            dtype,
        })
    }

    /// Finds what is wrong with a model on this disk before anything slow starts. A single file is only looked for: it may lack a
    /// vocabulary, which the hub has.
    ///
    /// # Errors
    ///
    /// What is missing or damaged; nothing for a model of the hub or of a bucket, which is fetched first.
    pub(crate) fn look(&self) -> Result<()> {
        let Source::Path(path) = &self.source else {
            return Ok(());
        };
        let is_layout = path.join("unet").is_dir();
        if path.starts_with("s3:") || (path.exists() && !is_layout) {
            return Ok(());
        }
        let opened = Checkpoint::open(&self.source, &self.options);
        opened.map(drop).context("the model can't be opened")
    }

    /// The bound on a picture's longer side that suits the model, whose latents stand for `factor` pixels a side. In pixels.
    /// Attention grows with the fourth power of the side in latents, so a model of a small factor gets small pictures.
    pub(crate) fn size_default(&self, factor: usize) -> u32 {
        match self.built_in {
            true => SIZE_BUILT_IN,
            false => size_of_latents(factor),
        }
    }

    /// Opens the model on its device, for a person who waits: progress of a download and warnings go to stderr.
    ///
    /// # Errors
    ///
    /// What is wrong with the device or the checkpoint.
    pub(crate) fn open(&self) -> Result<Model> {
        let model = self.opened(download::shown())?;
        for warning in &model.warnings {
            eprintln!("warning: {warning}");
        }
        if self.dtype == Some(DtypeChoice::Auto) {
            eprintln!("--dtype auto: {}", model.path());
        }
        Ok(model)
    }

    /// As [`Choice::open`], for a process that logs.
    ///
    /// # Errors
    ///
    /// As [`Choice::open`].
    pub(crate) fn open_logged(&self) -> Result<Model> {
        let model = self.opened(download::logged())?;
        for warning in &model.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(model = %model.name, path = model.path(), "the model is open");
        Ok(model)
    }

    fn opened(&self, progress: Progress) -> Result<Model> {
        let device = self.device.open()?;
        let dtype = self.dtype.unwrap_or(if device.is_cpu() {
            DtypeChoice::F32
        } else {
            DtypeChoice::Bf16
        });
        let checkpoint = self
            .checkpoint(progress)
            .context("the model can't be opened")?;
        Ok(Model {
            window_least: self.window_least(),
            ..Model::load(checkpoint, &device, dtype.dtype(&device))?
        })
    }

    /// Opens the checkpoint; nothing is loaded yet.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn checkpoint(&self, progress: Progress) -> Result<Checkpoint, Error> {
        let options = OpenOptions {
            hub: Some(Hub {
                progress,
                ..Hub::from_env()
            }),
            ..self.options.clone()
        };
        Checkpoint::open(&self.source, &options)
    }

    /// As [`Model::window_least`].
    pub(crate) fn window_least(&self) -> Option<usize> {
        self.built_in.then_some(limekiln_rooms::WINDOW_LEAST)
    }
}

/// Where the model that a user names is.
fn source(model: &str) -> Source {
    if model == BUILT_IN {
        Source::Embedded(limekiln_rooms::checkpoint_files())
    } else {
        Checkpoint::parse_source(model)
    }
}

/// The name that a model is served by where `--as` names none: the last part of what `--model` says, in the letters that such a
/// name may have. None where nothing is left of it.
pub(crate) fn name_of(model: &str) -> Option<String> {
    let place = match model.strip_prefix("hf:") {
        Some(repo) => repo
            .split_once('@')
            .map_or(repo, |(name, _)| name)
            .to_owned(),
        // `.` and `..` are folders with names of their own.
        None => Path::new(model)
            .canonicalize()
            .map_or_else(|_| model.to_owned(), |path| path.display().to_string()),
    };
    let last = place
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let extensions = [".safetensors", ".ckpt"];
    let stem = extensions
        .iter()
        .find_map(|extension| last.strip_suffix(extension));
    let name: String = stem
        .unwrap_or(last)
        .to_lowercase()
        .chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' | '.' | '_' => c,
            _ => '-',
        })
        .take(63)
        .collect();
    let name = name.trim_start_matches(['-', '.', '_']);
    (!name.is_empty()).then(|| name.to_owned())
}

fn size_of_latents(factor: usize) -> u32 {
    let side = u32::try_from(factor).map_or(SIZE, |factor| LATENTS.saturating_mul(factor));
    SIZE.min(side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_a_small_factor_gets_small_pictures() {
        assert_eq!([2, 4, 8, 16].map(size_of_latents), [128, 256, 512, 512]);
    }

    #[test]
    fn a_model_has_a_name_to_be_served_by() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("My Model");
        std::fs::create_dir(&inside).unwrap();
        for (model, name) in [
            ("rooms", Some("rooms")),
            ("hf:timbrooks/instruct-pix2pix", Some("instruct-pix2pix")),
            ("hf:owner/Name_1.5@refs/pr/3", Some("name_1.5")),
            ("./models/instruct-pix2pix/", Some("instruct-pix2pix")),
            ("weights/IP2P v1.safetensors", Some("ip2p-v1")),
            ("a.ckpt", Some("a")),
            ("s3://bucket/models/ip2p", Some("ip2p")),
            ("__x", Some("x")),
            ("/", None),
        ] {
            assert_eq!(name_of(model).as_deref(), name, "{model}");
        }
        let dotted = format!("{}/.", inside.display());
        assert_eq!(name_of(&dotted).as_deref(), Some("my-model"));
    }
}
