//! What the configurations are read and checked with.

use serde::Deserialize;
use serde_json::Value;

use crate::Error;

/// The file's JSON object.
pub(super) fn parse(json: &str) -> Result<Value, Error> {
    let value: Value = serde_json::from_str(json)
        .map_err(|e| Error::config("config.json", format!("is not JSON: {e}")))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Error::config("config.json", "is not a JSON object"))
    }
}

/// As the raw form of a configuration, with its defaults.
pub(super) fn typed<T: for<'a> Deserialize<'a>>(value: Value) -> Result<T, Error> {
    // Null means "not set" in these files: drop it, so that the default applies.
    let value = match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).collect())
        }
        other => other,
    };
    serde_json::from_value(value).map_err(|e| Error::config("config.json", e.to_string()))
}

/// An error unless the key is absent or has one of the values that are implemented.
pub(super) fn only(config: &Value, key: &str, supported: &[Value]) -> Result<(), Error> {
    match config.get(key) {
        None => Ok(()),
        Some(value) if supported.contains(value) => Ok(()),
        Some(value) => Err(Error::config(key, format!("{value} is not supported"))),
    }
}

/// An error for 0.
pub(super) fn positive(key: &str, value: usize) -> Result<(), Error> {
    if value == 0 {
        Err(Error::config(key, "must not be 0"))
    } else {
        Ok(())
    }
}

/// An error unless `whole` channels divide into so many parts.
pub(super) fn divides(key: &str, parts: usize, whole: usize) -> Result<(), Error> {
    if parts == 0 || whole == 0 || !whole.is_multiple_of(parts) {
        return Err(Error::config(
            key,
            format!("{parts} does not divide {whole} channels"),
        ));
    }
    Ok(())
}
