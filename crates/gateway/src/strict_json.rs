//! JSON read as JSON Schema understands it: no key comes twice, and 7.0 is an integer.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Doubles hold every integer up to this one.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// A value in which no key comes twice, with whole numbers as integers.
pub(crate) struct StrictJson(pub(crate) Value);

impl<'de> Deserialize<'de> for StrictJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if value.fract() == 0.0 && value.abs() < INTEGER_MAX {
            return Ok((value as i64).into());
        }
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(StrictJson(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((key, StrictJson(value))) = entries.next_entry::<String, StrictJson>()? {
            if fields.contains_key(&key) {
                return Err(Error::custom(format_args!("the key `{key}` comes twice")));
            }
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Value, String> {
        serde_json::from_str::<StrictJson>(text)
            .map(|strict| strict.0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn whole_numbers_are_integers_however_they_are_written() {
        assert_eq!(
            read(r#"{"a": [7.0, 1e3, -2.0, 0.5, 1e300, true, null, "x"]}"#),
            Ok(json!({"a": [7, 1000, -2, 0.5, 1e300, true, null, "x"]}))
        );
    }

    #[test]
    fn keys_come_once_at_every_depth() {
        let error = read(r#"{"a": {"b": 1, "b": 2}}"#).unwrap_err();
        assert!(error.starts_with("the key `b` comes twice"), "{error}");
    }
}
