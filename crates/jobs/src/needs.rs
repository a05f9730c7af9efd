//! What an edit needs of the program that runs it, beyond what every version can.
//!
//! The fields that edits had when needs came in are the baseline: every worker can do them. A field that came later is a
//! need of the edits that use it, and its name is the field's own path, so that old and new programs call it the same:
//! `size_min` for a field of the spec, `preset.edit.sharpen` for one of the preset, `preset.locate.select.rule=best` for a
//! new word of an old field.
//!
//! ```
//! # use limekiln_jobs::Needs;
//! let needs = Needs::from_iter(["preset.edit.sharpen", "size_min"]);
//! assert!(!needs.missing(&Needs::default()).is_empty());
//! assert!(needs.missing(&needs).is_empty());
//! ```

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;

/// Needs, each once and in order: equal sets are stored equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Needs(BTreeSet<String>);

impl Needs {
    /// The need of turns, whose pictures are stored as what they changed.
    pub const LAYERS: &str = "layers";

    /// Whether any worker will do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Those that somebody who can do `can` lacks.
    #[must_use]
    pub fn missing(&self, can: &Self) -> Self {
        Self(self.0.difference(&can.0).cloned().collect())
    }

    /// The cohort of workers that can do exactly this: a name that is the same in all of them.
    pub fn cohort(&self) -> String {
        let all: String = self.iter().flat_map(|need| [need, "\n"]).collect();
        let mut cohort = Digest::of(all.as_bytes()).to_string();
        cohort.truncate(12);
        cohort
    }

    /// Needs of the fields in `fields` that are not of the baseline: by their paths, and of a text by the word, too.
    pub fn of_fields(
        prefix: &str,
        fields: &Value,
        is_field: impl Fn(&str) -> bool,
        is_word: impl Fn(&str) -> bool,
    ) -> Self {
        let mut needs = Self::default();
        walk("", fields, &mut |path, value| {
            if !is_field(path) {
                needs.0.insert(format!("{prefix}{path}"));
            } else if let Value::String(word) = value
                && !is_word(word)
            {
                needs.0.insert(format!("{prefix}{path}={word}"));
            }
        });
        needs
    }
}

/// Visits every value that is no object, with its dotted path.
pub fn walk(path: &str, value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let inner = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                walk(&inner, value, visit);
            }
        }
        value => visit(path, value),
    }
}

impl<T: Into<String>> FromIterator<T> for Needs {
    fn from_iter<I: IntoIterator<Item = T>>(needs: I) -> Self {
        Self(needs.into_iter().map(Into::into).collect())
    }
}

impl Extend<String> for Needs {
    fn extend<I: IntoIterator<Item = String>>(&mut self, needs: I) {
        self.0.extend(needs);
    }
}

impl IntoIterator for Needs {
    type Item = String;
    type IntoIter = std::collections::btree_set::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, need) in self.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            f.write_str(need)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn later_fields_and_words_are_needs_by_their_paths() {
        let fields =
            json!({"edit": {"steps": 3, "sharpen": {"by": 0.5}}, "rule": "best", "other": "share"});
        let is_field = |path: &str| ["edit.steps", "rule", "other"].contains(&path);
        let needs = Needs::of_fields("preset.", &fields, is_field, |word| word == "share");
        assert_eq!(
            needs.to_string(),
            "preset.edit.sharpen.by, preset.rule=best"
        );
        assert_eq!(
            needs
                .missing(&Needs::from_iter(["preset.rule=best"]))
                .to_string(),
            "preset.edit.sharpen.by"
        );
    }
}
