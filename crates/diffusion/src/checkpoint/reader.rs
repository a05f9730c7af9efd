//! Reads a checkpoint's files out of a folder, and remembers which.

use std::sync::Arc;

use super::blob::Blob;
use super::files::Files;
use super::folder::Folder;
use super::select;
use crate::Error;
use crate::tokenizer::{Tokenizer, TokenizerFiles};

/// A folder, and the files that were read so far.
pub(super) struct Reader<'a> {
    pub(super) folder: &'a Folder,
    pub(super) files: &'a mut Files,
}

impl Reader<'_> {
    /// Opens a file; `hint` says what a missing one is for.
    pub(super) fn open(&mut self, name: &str, hint: &str) -> Result<Arc<Blob>, Error> {
        let blob = self.folder.open(name, hint)?;
        self.files.add(name, &blob);
        Ok(blob)
    }

    /// Reads a configuration; an error in it names the file.
    pub(super) fn configuration<C>(
        &mut self,
        name: &str,
        read: fn(&str) -> Result<C, Error>,
    ) -> Result<C, Error> {
        let blob = self.open(name, "a checkpoint in diffusers layout must have it")?;
        read(blob.text()?).map_err(|e| blob.damaged(e.to_string()))
    }

    /// Reads the tokenizer below `prefix`, if there is one; `config` stands in for a missing `tokenizer_config.json`.
    pub(super) fn tokenizer(
        &mut self,
        prefix: &str,
        config: Option<&str>,
    ) -> Result<Option<Tokenizer>, Error> {
        let whole = format!("{prefix}tokenizer.json");
        if !self.folder.has(&whole) && !self.folder.has(&format!("{prefix}vocab.json")) {
            return Ok(None);
        }
        let mut found = Vec::new();
        for name in select::TOKENIZER {
            // transformers reads the pair only where there is no tokenizer.json.
            let superseded = self.folder.has(&whole) && matches!(name, "vocab.json" | "merges.txt");
            if self.folder.has(&format!("{prefix}{name}")) && !superseded {
                found.push((name, self.open(&format!("{prefix}{name}"), "")?));
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
        let place = self.folder.path(prefix.trim_end_matches('/'));
        let named = |e| Error::Damaged {
            path: place,
            reason: format!("{e}"),
        };
        Tokenizer::from_files(&texts).map(Some).map_err(named)
    }
}
