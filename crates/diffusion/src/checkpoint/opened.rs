//! What a checkpoint is: where it lies, how it is opened, and whether its parts fit each other.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::component::Component;
use super::files::Files;
use super::folder::EmbeddedFiles;
use super::hub::Hub;
use crate::Error;
use crate::config::{TextConfig, UnetConfig, VaeConfig};
use crate::scheduler::SchedulerConfig;
use crate::tokenizer::Tokenizer;

/// Where a checkpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder in diffusers layout, or a single file.
    Path(PathBuf),
    /// A repository of the hub, in diffusers layout.
    Hub {
        /// `owner/name` or `owner/name@revision`
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
    pub(super) fn hub(&self) -> Hub {
        self.hub.clone().unwrap_or_else(Hub::from_env)
    }
}

/// An opened checkpoint: configurations read, weights mapped but not yet loaded.
pub struct Checkpoint {
    /// Name of the repository, folder or file, for people.
    pub name: String,
    /// Turns text into tokens.
    pub tokenizer: Tokenizer,
    /// Configuration and weights of the text encoder.
    pub text: Component<TextConfig>,
    /// Configuration and weights of the U-Net.
    pub unet: Component<UnetConfig>,
    /// Configuration and weights of the autoencoder.
    pub vae: Component<VaeConfig>,
    /// What `scheduler_config.json` says.
    pub scheduler: SchedulerConfig,
    /// What is appended to every instruction, if anything.
    pub instruction_suffix: Option<String>,
    /// What is odd about it and stops nothing, each in a sentence.
    pub warnings: Vec<String>,
    /// The files that were read, and their fingerprint.
    pub files: Arc<Files>,
}

impl Checkpoint {
    /// Content address of everything that was read; see [`Files::fingerprint`].
    pub fn fingerprint(&self) -> &str {
        self.files.fingerprint()
    }

    /// Numbers in the tensors of all networks.
    pub fn parameters(&self) -> usize {
        self.unet.parameters() + self.vae.parameters() + self.text.parameters()
    }

    /// What single configurations cannot see: whether they fit.
    pub(super) fn check(&self, source: &Source) -> Result<(), Error> {
        self.unet.types_check()?;
        self.vae.types_check()?;
        self.text.types_check()?;
        let refused = |reason: String| Err(Error::Refused(reason));
        let (unet, latents) = (&self.unet.config, self.vae.config.latent_channels);
        if unet.in_channels != 2 * latents {
            return refused(not_instruct(&source.to_string(), unet.in_channels, latents));
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

/// Why a U-Net of so many input channels edits no pictures.
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
