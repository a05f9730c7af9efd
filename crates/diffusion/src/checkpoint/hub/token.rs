//! The token that names us to the hub.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::{is_on, set};

/// A token of the hub. It is sent to the hub's own address alone, and shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// A token as it is written down: blanks and line ends around it do not count. None where nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// As huggingface_hub finds it: `HF_TOKEN`, else the file that `hf auth login` writes (`HF_TOKEN_PATH`, else `token` in
    /// `home`); none with `HF_HUB_DISABLE_IMPLICIT_TOKEN`.
    pub(super) fn from_env(home: &Path) -> Option<Self> {
        if is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            return None;
        }
        let named = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];
        let given = named
            .iter()
            .find_map(|name| Self::new(&env::var(name).ok()?));
        given.or_else(|| {
            let path = set("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
            Self::new(&fs::read_to_string(path).ok()?)
        })
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}
