//! Checkpoints as they are published: opened, checked, mapped into memory.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `diffusers` | folders with `model_index.json` |
//! | `single`, `ldm` | files of the original code, their names and implied configurations |
//! | `hub` | `hf:owner/name`: the cache and downloads |
//! | `select` | which of a repository's files are needed |
//! | `tensors`, `torch`, `pickle` | where each tensor lies in safetensors and torch files |
//! | `component` | a network's tensors, handed out and checked by name and shape |
//! | `folder`, `blob`, `files` | files on disk or in the binary, and their fingerprint |

mod blob;
mod component;
mod diffusers;
mod files;
mod folder;
mod hub;
mod ldm;
mod pickle;
mod select;
mod single;
mod tensors;
mod torch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;
use crate::config::{TextConfig, UnetConfig, VaeConfig};
use crate::scheduler::SchedulerConfig;
use crate::tokenizer::Tokenizer;

pub use component::Component;
pub use files::Files;
pub use folder::EmbeddedFiles;
pub use hub::Hub;
pub use select::needed_files;

use folder::Folder;

/// Where a checkpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder in diffusers layout, or a single file.
    Path(PathBuf),
    /// A repository of the hub, in diffusers layout.
    Hub {
        /// `owner/name`
        repo: String,
    },
    /// Files in the binary, in diffusers layout.
    Embedded(EmbeddedFiles),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Hub { repo } => write!(f, "hf:{repo}"),
            Self::Embedded(_) => f.write_str("built-in"),
        }
    }
}

/// How to open a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Take the averaged U-Net weights of a single file, as the original script does; diffusers takes the others.
    pub ema: bool,
    /// Which weight files of a diffusers folder: `fp16`, `non_ema`, ... Without one the plain files, or else `fp16`.
    pub variant: Option<String>,
    /// A folder with what a single file lacks: `tokenizer/`, `scheduler/scheduler_config.json`, `unet/config.json`, ...
    /// Without one the folder that the file lies in.
    pub companion: Option<PathBuf>,
    /// What to append to every instruction. Without one, what the checkpoint is known to need (HIVE's conditional model).
    pub instruction_suffix: Option<String>,
    /// Where the hub's checkpoints are. Without one as the environment says.
    pub hub: Option<Hub>,
}

impl OpenOptions {
    fn hub(&self) -> Hub {
        self.hub.clone().unwrap_or_else(Hub::from_env)
    }
}

/// An opened checkpoint: configurations read, weights mapped but not yet loaded.
pub struct Checkpoint {
    /// For people: the repository's, folder's or file's name.
    pub name: String,
    /// Text to tokens.
    pub tokenizer: Tokenizer,
    /// The text encoder.
    pub text: Component<TextConfig>,
    /// The U-Net.
    pub unet: Component<UnetConfig>,
    /// The autoencoder.
    pub vae: Component<VaeConfig>,
    /// What `scheduler_config.json` says.
    pub scheduler: SchedulerConfig,
    /// To be appended to every instruction.
    pub instruction_suffix: Option<String>,
    /// What was read, and its fingerprint.
    pub files: Arc<Files>,
}

impl Checkpoint {
    /// `hf:owner/name`, or a path.
    pub fn parse_source(text: &str) -> Source {
        match text.strip_prefix("hf:") {
            Some(repo) => Source::Hub { repo: repo.into() },
            None => Source::Path(text.into()),
        }
    }

    /// Opens a checkpoint and checks that its parts fit each other. Nothing is loaded yet.
    ///
    /// # Errors
    /// One line that names the file, the tensor or the key that is missing, damaged or of another kind of model.
    pub fn open(source: &Source, options: &OpenOptions) -> Result<Self, Error> {
        let checkpoint = match source {
            Source::Path(path) => open_path(path, options)?,
            Source::Hub { repo } => {
                let needed = |names: &_| names_needed(names, options);
                let folder = options.hub().snapshot(repo, needed)?;
                diffusers::open(&Folder::disk(&folder)?, repo.clone(), options)?
            }
            Source::Embedded(files) => {
                diffusers::open(&Folder::embedded(files), "built-in".into(), options)?
            }
        };
        checkpoint.check(source)?;
        Ok(checkpoint)
    }

    /// Content address of everything that was read; see [`Files::fingerprint`].
    pub fn fingerprint(&self) -> &str {
        self.files.fingerprint()
    }

    /// What single configurations cannot see: whether they fit.
    fn check(&self, source: &Source) -> Result<(), Error> {
        let refused = |reason: String| Err(Error::Refused(reason));
        let (unet, latents) = (&self.unet.config, self.vae.config.latent_channels);
        if unet.in_channels != 2 * latents {
            return refused(ldm::not_instruct(
                &source.to_string(),
                unet.in_channels,
                latents,
            ));
        }
        if unet.out_channels != latents {
            return refused(format!(
                "{source}: the U-Net gives {} channels, the VAE has {latents}",
                unet.out_channels
            ));
        }
        let width = self.text.config.hidden_size;
        if let Some(level) = unet.levels.iter().find(|level| level.context != width) {
            return refused(format!(
                "{source}: the U-Net reads text states {} wide, the text encoder gives {width}",
                level.context
            ));
        }
        let (rows, ids) = (self.text.config.vocab_size, self.tokenizer.vocab_size());
        if ids > rows {
            return refused(format!(
                "{source}: the tokenizer has ids up to {}, the text encoder {rows} rows",
                ids - 1
            ));
        }
        let (positions, length) = (
            self.text.config.max_position_embeddings,
            self.tokenizer.length(),
        );
        if length > positions {
            return refused(format!(
                "{source}: the tokenizer gives {length} tokens, the text encoder takes {positions}"
            ));
        }
        Ok(())
    }
}

fn names_needed(
    names: &std::collections::BTreeSet<String>,
    options: &OpenOptions,
) -> Result<Vec<String>, Error> {
    needed_files(names.iter().map(String::as_str), options.variant.as_deref())
}

fn open_path(path: &Path, options: &OpenOptions) -> Result<Checkpoint, Error> {
    if !path.exists() {
        let hint =
            "there is no such file or folder; a checkpoint of the hub is written hf:owner/name";
        return Err(Error::Missing {
            path: path.display().to_string(),
            hint: hint.into(),
        });
    }
    if !path.is_dir() {
        return single::open(path, options);
    }
    let folder = Folder::disk(path)?;
    if folder.has("model_index.json") || folder.has("unet/config.json") {
        let name = path
            .canonicalize()
            .ok()
            .and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()));
        return diffusers::open(
            &folder,
            name.unwrap_or_else(|| path.display().to_string()),
            options,
        );
    }
    let files: Vec<_> = folder
        .names()
        .iter()
        .filter(|n| !n.contains('/') && (n.ends_with(".safetensors") || n.ends_with(".ckpt")))
        .collect();
    match files[..] {
        [only] => single::open(&path.join(only), options),
        _ => Err(folder.missing(
            "model_index.json",
            "a checkpoint is a folder in diffusers layout or a single .safetensors or .ckpt file",
        )),
    }
}
