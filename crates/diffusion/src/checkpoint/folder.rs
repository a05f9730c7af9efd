//! A checkpoint's folder, on disk or in the binary, and what has been read from it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blob::Blob;
use crate::Error;

/// Relative paths and contents of files compiled into a binary.
pub type EmbeddedFiles = &'static [(&'static str, &'static [u8])];

/// The subfolders that anything is read from.
const PARTS: [&str; 5] = ["unet", "vae", "text_encoder", "tokenizer", "scheduler"];

enum Place {
    Disk(PathBuf),
    Embedded(EmbeddedFiles),
}

/// Reads files by their path relative to the folder.
pub(super) struct Folder {
    place: Place,
    names: BTreeSet<String>,
}

impl Folder {
    /// Lists the folder's files and those of the subfolders that a checkpoint has; others may hold anything.
    pub(super) fn disk(path: &Path) -> Result<Self, Error> {
        let mut names = BTreeSet::new();
        for (name, entry) in entries(path)? {
            if !entry.is_dir() {
                names.insert(name);
            } else if PARTS.contains(&name.as_str()) {
                let inside = entries(&entry)?
                    .into_iter()
                    .filter(|(_, file)| file.is_file());
                names.extend(inside.map(|(file, _)| format!("{name}/{file}")));
            }
        }
        Ok(Self {
            place: Place::Disk(path.to_owned()),
            names,
        })
    }

    pub(super) fn embedded(files: EmbeddedFiles) -> Self {
        let names = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self {
            place: Place::Embedded(files),
            names,
        }
    }

    /// The same folder as if it held nothing else.
    pub(super) fn only(mut self, names: &[&str]) -> Self {
        self.names.retain(|name| names.contains(&name.as_str()));
        self
    }

    pub(super) fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The file's full path, for messages.
    pub(super) fn path(&self, name: &str) -> String {
        match &self.place {
            Place::Disk(path) if name.is_empty() => path.display().to_string(),
            Place::Disk(path) => path.join(name).display().to_string(),
            Place::Embedded(_) => format!("built-in {name}"),
        }
    }

    pub(super) fn missing(&self, name: &str, hint: &str) -> Error {
        Error::Missing {
            path: self.path(name),
            hint: hint.into(),
        }
    }

    pub(super) fn open(&self, name: &str, hint: &str) -> Result<Arc<Blob>, Error> {
        if !self.has(name) {
            return Err(self.missing(name, hint));
        }
        match &self.place {
            Place::Disk(path) => Blob::map(&path.join(name)).map(Arc::new),
            Place::Embedded(files) => {
                let found = files.iter().find(|(file, _)| *file == name);
                let (_, bytes) = found.ok_or_else(|| self.missing(name, hint))?;
                Ok(Arc::new(Blob::embedded(self.path(name), bytes)))
            }
        }
    }
}

fn entries(path: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let io = |source| Error::Io {
        path: path.display().to_string(),
        source,
    };
    let mut found = Vec::new();
    for entry in path.read_dir().map_err(io)? {
        let entry = entry.map_err(io)?;
        found.push((
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        ));
    }
    Ok(found)
}
