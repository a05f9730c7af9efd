//! Edits as the table has them.

use std::collections::HashMap;

use anyhow::Result;
use serde_json::Value;
use sqlx::{PgPool, Row};
use uuid::Uuid;

/// The row of an edit.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) state: String,
    pub(super) seq: i64,
    pub(super) epoch: i32,
    pub(super) attempts: i16,
    pub(super) max_attempts: i16,
    pub(super) leased: bool,
    /// How often it was asked to step aside, which costs nothing.
    pub(super) asides: i16,
    pub(super) error: Option<Value>,
}

/// The edits of a round.
pub(super) async fn rows(postgres: &PgPool, round: &str) -> Result<HashMap<Uuid, Edit>> {
    let rows = sqlx::query(
        "select id, state, seq, epoch, attempts, max_attempts, lease_expires_at is not null, error, asides
         from edits where starts_with(idempotency_key, $1)",
    )
    .bind(round)
    .fetch_all(postgres)
    .await?;
    rows.iter()
        .map(|row| {
            let edit = Edit {
                state: row.try_get(1)?,
                seq: row.try_get(2)?,
                epoch: row.try_get(3)?,
                attempts: row.try_get(4)?,
                max_attempts: row.try_get(5)?,
                leased: row.try_get(6)?,
                error: row.try_get(7)?,
                asides: row.try_get(8)?,
            };
            Ok((row.try_get(0)?, edit))
        })
        .collect()
}
