//! Words of a newer version, carried as they are.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Most words that are remembered, and the longest of them in bytes. Newer versions have few.
const WORDS: usize = 256;
const BYTES: usize = 64;
/// What a word beyond them becomes.
const UNKNOWN: &str = "unknown";

/// A word that this version does not know, such as the state of an edit that a newer version brought. It can be shown and
/// passed on, and that is all.
///
/// Each different word is kept for as long as the process lives, so that values stay small and are copied freely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(&'static str);

impl Word {
    pub(crate) fn new(text: &str) -> Self {
        static SEEN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        Self::kept(&mut seen, text)
    }

    fn kept(seen: &mut BTreeSet<&'static str>, text: &str) -> Self {
        if let Some(word) = seen.get(text) {
            return Self(word);
        }
        if text.is_empty() || text.len() > BYTES || seen.len() >= WORDS {
            return Self(UNKNOWN);
        }
        let word: &'static str = Box::leak(text.into());
        seen.insert(word);
        Self(word)
    }

    /// The word.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_and_memory_is_bounded() {
        let mut seen = BTreeSet::new();
        let mut kept = |text: &str| Word::kept(&mut seen, text).as_str();
        assert_eq!(kept("archived"), "archived");
        assert_eq!(kept(&"x".repeat(BYTES + 1)), UNKNOWN);
        for n in 1..2 * WORDS {
            let word = format!("word-{n}");
            assert_eq!(kept(&word), if n < WORDS { &word } else { UNKNOWN });
        }
        assert_eq!(kept("archived"), "archived");
    }
}
