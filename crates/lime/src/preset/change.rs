//! A preset with some of its fields replaced.

use super::fields::Preset;
use crate::error::{Error, Result};

impl Preset {
    /// This preset with some fields replaced, as JSON of the same shape: objects are merged, all else is replaced.
    /// Unknown fields and values that do not make sense are errors.
    pub fn with(&self, changes: &serde_json::Value) -> Result<Self> {
        let mut value = serde_json::to_value(self).map_err(|e| Error::Preset(e.to_string()))?;
        let off = part_that_is_off(&value, changes);
        merge(&mut value, changes);
        let preset: Self = serde_json::from_value(value).map_err(|error| {
            Error::Preset(match off {
                Some(part) => format!(
                    "{error}; `{part}` is off in this preset: start from one that has it, or give all its fields"
                ),
                None => error.to_string(),
            })
        })?;
        preset.validate()?;
        Ok(preset)
    }
}

/// The first part without a value of which single fields are to be replaced.
fn part_that_is_off(preset: &serde_json::Value, changes: &serde_json::Value) -> Option<String> {
    let (preset, changes) = (preset.as_object()?, changes.as_object()?);
    changes.iter().find_map(|(name, change)| {
        let part = preset.get(name)?;
        if part.is_null() && change.is_object() {
            return Some(name.clone());
        }
        part_that_is_off(part, change).map(|inner| format!("{name}.{inner}"))
    })
}

fn merge(into: &mut serde_json::Value, changes: &serde_json::Value) {
    match (into, changes) {
        (serde_json::Value::Object(into), serde_json::Value::Object(changes)) => {
            for (key, value) in changes {
                merge(
                    into.entry(key.as_str()).or_insert(serde_json::Value::Null),
                    value,
                );
            }
        }
        (into, changes) => *into = changes.clone(),
    }
}
