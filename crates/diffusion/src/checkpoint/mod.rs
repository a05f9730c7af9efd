//! Checkpoints as they are published: opened, checked, mapped into memory.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `diffusers` | folders with `model_index.json` |
//! | `single`, `ldm` | files of the original code, their names and implied configurations |
//! | `hub` | `hf:owner/name@revision`: the cache and downloads |
//! | `select` | which of a repository's files are needed |
//! | `opened` | [`Checkpoint`], and the check that its parts fit |
//! | `table`, `tensors`, `torch`, `pickle` | where each tensor lies in safetensors and torch files |
//! | `convert` | bytes into numbers, laid out for the layers that read them |
//! | `component` | a network's tensors, handed out and checked by name and shape |
//! | `reader`, `folder`, `blob`, `files` | files on disk or in the binary, read and remembered, and their fingerprint |

mod blob;
mod component;
mod convert;
mod diffusers;
mod files;
mod folder;
mod hub;
mod ldm;
mod opened;
mod pickle;
mod reader;
mod select;
mod single;
mod table;
mod tensors;
mod torch;

use std::path::Path;

use crate::Error;

pub use component::Component;
pub use files::Files;
pub use folder::EmbeddedFiles;
pub use hub::{Downloaded, Hub, Progress, Token, proxy_of};
pub use opened::{Checkpoint, OpenOptions, Source};
pub use select::needed_files;

use folder::Folder;

impl Checkpoint {
    /// Reads what a user names a checkpoint by: `hf:owner/name`, `hf:owner/name@revision`, or a path.
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
