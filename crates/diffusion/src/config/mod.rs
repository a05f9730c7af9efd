//! The networks' own configurations, read from diffusers' and transformers' `config.json`.
//!
//! Unknown keys are ignored. A known key with a value that would change the network into something that is not
//! implemented here is an error naming the key: a wrong picture is worse than none.
//!
//! # Layout
//!
//! `unet`, `vae` and `text` hold one network's configuration each; here is what they share.

mod text;
mod unet;
mod vae;

pub use text::TextConfig;
pub use unet::{Level, UnetConfig};
pub use vae::VaeConfig;

use serde::Deserialize;
use serde_json::Value;

use crate::Error;

fn parse(json: &str) -> Result<Value, Error> {
    let value: Value = serde_json::from_str(json)
        .map_err(|e| Error::config("config.json", format!("is not JSON: {e}")))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Error::config("config.json", "is not a JSON object"))
    }
}

fn typed<T: for<'a> Deserialize<'a>>(value: Value) -> Result<T, Error> {
    // Null means "not set" in these files: drop it, so that the default applies.
    let value = match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).collect())
        }
        other => other,
    };
    serde_json::from_value(value).map_err(|e| Error::config("config.json", e.to_string()))
}

fn only(config: &Value, key: &str, supported: &[Value]) -> Result<(), Error> {
    match config.get(key) {
        None => Ok(()),
        Some(value) if supported.contains(value) => Ok(()),
        Some(value) => Err(Error::config(key, format!("{value} is not supported"))),
    }
}

fn positive(key: &str, value: usize) -> Result<(), Error> {
    if value == 0 {
        Err(Error::config(key, "must not be 0"))
    } else {
        Ok(())
    }
}

fn divides(key: &str, parts: usize, whole: usize) -> Result<(), Error> {
    if parts == 0 || whole == 0 || !whole.is_multiple_of(parts) {
        return Err(Error::config(
            key,
            format!("{parts} does not divide {whole} channels"),
        ));
    }
    Ok(())
}
