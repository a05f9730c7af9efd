//! Columns as the types of `limekiln-jobs`, and those types as columns.

use std::fmt::Display;
use std::str::FromStr;

use limekiln_jobs::{Digest, Epoch};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::write::BlobRef;

/// A column as the driver has it.
pub(crate) fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
    row: &'r PgRow,
    column: &'static str,
) -> Result<T> {
    Ok(row.try_get(column)?)
}

pub(crate) fn id<T: From<Uuid>>(row: &PgRow, column: &'static str) -> Result<T> {
    Ok(T::from(get::<Uuid>(row, column)?))
}

pub(crate) fn id_opt<T: From<Uuid>>(row: &PgRow, column: &'static str) -> Result<Option<T>> {
    Ok(get::<Option<Uuid>>(row, column)?.map(T::from))
}

/// A text that names something.
pub(crate) fn name<T: FromStr<Err: Display>>(row: &PgRow, column: &'static str) -> Result<T> {
    parse(get::<&str>(row, column)?, column)
}

pub(crate) fn parse<T: FromStr<Err: Display>>(text: &str, what: &'static str) -> Result<T> {
    text.parse().map_err(|error: T::Err| bad(what, error))
}

/// A word of a list that newer programs may add to.
pub(crate) fn word<T: for<'a> From<&'a str>>(row: &PgRow, column: &'static str) -> Result<T> {
    Ok(T::from(get::<&str>(row, column)?))
}

/// What can be read of these rows. One that can't spoils no other: it is left out, and told of.
pub(crate) fn readable<T>(
    what: &'static str,
    rows: &[PgRow],
    mut read: impl FnMut(&PgRow) -> Result<T>,
) -> Vec<T> {
    rows.iter()
        .filter_map(|row| read(row).map_err(|error| unreadable(what, &error)).ok())
        .collect()
}

/// Tells of a row that is left out.
pub(crate) fn unreadable(what: &'static str, error: &Error) {
    metrics::counter!("limekiln_store_rows_unreadable_total", "what" => what).increment(1);
    tracing::error!(what, %error, "a row is left out: it is damaged, or of a newer version");
}

/// A count: never negative.
pub(crate) fn whole<T: TryFrom<i64>>(row: &PgRow, column: &'static str) -> Result<T> {
    let value = get::<i64>(row, column)?;
    T::try_from(value).map_err(|_| bad(column, value))
}

pub(crate) fn whole_opt<T: TryFrom<i64>>(row: &PgRow, column: &'static str) -> Result<Option<T>> {
    get::<Option<i64>>(row, column)?
        .map(|value| T::try_from(value).map_err(|_| bad(column, value)))
        .transpose()
}

/// A count in an `integer` column.
pub(crate) fn small<T: TryFrom<i32>>(row: &PgRow, column: &'static str) -> Result<T> {
    let value = get::<i32>(row, column)?;
    T::try_from(value).map_err(|_| bad(column, value))
}

pub(crate) fn small_opt<T: TryFrom<i32>>(row: &PgRow, column: &'static str) -> Result<Option<T>> {
    get::<Option<i32>>(row, column)?
        .map(|value| T::try_from(value).map_err(|_| bad(column, value)))
        .transpose()
}

/// A count in a `smallint` column.
pub(crate) fn tiny(row: &PgRow, column: &'static str) -> Result<u16> {
    let value = get::<i16>(row, column)?;
    u16::try_from(value).map_err(|_| bad(column, value))
}

pub(crate) fn epoch(row: &PgRow, column: &'static str) -> Result<Epoch> {
    Ok(Epoch::new(small(row, column)?))
}

pub(crate) fn digest(row: &PgRow, column: &'static str) -> Result<Digest> {
    Digest::try_from(get::<&[u8]>(row, column)?).map_err(|error| bad(column, error))
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(value: Value, what: &'static str) -> Result<T> {
    serde_json::from_value(value).map_err(|error| bad(what, error))
}

/// The four columns of a blob; `None` when there is none.
pub(crate) fn blob(row: &PgRow, columns: [&'static str; 4]) -> Result<Option<BlobRef>> {
    let [key, digest_column, bytes, media_type] = columns;
    let Some(key) = get::<Option<String>>(row, key)? else {
        return Ok(None);
    };
    Ok(Some(BlobRef {
        key,
        digest: digest(row, digest_column)?,
        bytes: whole(row, bytes)?,
        media_type: get(row, media_type)?,
    }))
}

pub(crate) fn bad(what: &'static str, detail: impl Display) -> Error {
    Error::Row {
        what,
        detail: detail.to_string(),
    }
}

/// A number for a `bigint` column.
pub(crate) fn big(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number for an `integer` column.
pub(crate) fn int(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Postgres has no NUL in its texts: one such text would fail the whole batch it is in.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The same for every text in a JSON value.
pub(crate) fn clean_json(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => Value::String(clean(&text)),
        Value::Array(values) => Value::Array(values.into_iter().map(clean_json).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| (clean(&key), clean_json(value)))
                .collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nul_is_left() {
        let dirty = serde_json::json!({"a\0": ["x\0y", 1, {"b": "\0"}]});
        let clean = clean_json(dirty).to_string();
        assert_eq!(
            clean,
            "{\"a\u{fffd}\":[\"x\u{fffd}y\",1,{\"b\":\"\u{fffd}\"}]}"
        );
    }
}
