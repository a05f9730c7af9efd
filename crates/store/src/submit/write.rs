//! The two statements of a submit: look at everything that is named, insert what was let in.

use std::collections::HashMap;

use limekiln_jobs::{BatchId, Digest, EditId, ImageId, SessionId};
use serde_json::Value;
use sqlx::postgres::{PgConnection, PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::gate::{Account, Earlier, Gate, Look};
use crate::row::{bad, clean, clean_json, get, id, id_opt, name, parse, small};
use crate::{Result, Submission};

pub(super) async fn look(conn: &mut PgConnection, submissions: &[Submission]) -> Result<Vec<Look>> {
    let of = || submissions.iter();
    let ids = |pick: fn(&Submission) -> Option<Uuid>| of().map(pick).collect::<Vec<_>>();
    let rows = sqlx::query(include_str!("../sql/submit_look.sql"))
        .bind(
            of().map(|submission| submission.tenant.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(ids(|submission| submission.image.map(ImageId::uuid)))
        .bind(ids(|submission| submission.mask.map(ImageId::uuid)))
        .bind(ids(|submission| submission.session.map(SessionId::uuid)))
        .bind(ids(|submission| submission.parent.map(EditId::uuid)))
        .bind(
            of().map(|submission| {
                submission
                    .idempotency
                    .as_ref()
                    .map(|idempotency| idempotency.key.as_str())
            })
            .collect::<Vec<_>>(),
        )
        .bind(
            of().map(|submission| submission.id.uuid())
                .collect::<Vec<_>>(),
        )
        .fetch_all(conn)
        .await?;
    rows.iter().map(looked).collect()
}

fn looked(row: &PgRow) -> Result<Look> {
    let account = match get::<Option<f64>>(row, "tokens")? {
        Some(tokens) => Some(Account {
            in_flight: small(row, "in_flight")?,
            limit: small(row, "in_flight_limit")?,
            rate_per_second: get(row, "rate_per_second")?,
            tokens,
        }),
        None => None,
    };
    let own = match id_opt(row, "own_id")? {
        Some(id) => Some(Earlier {
            id,
            digest: None,
            born: name(row, "own_born")?,
            created_at: get(row, "own_created_at")?,
        }),
        None => None,
    };
    let before = match id_opt(row, "before_id")? {
        Some(id) => Some(Earlier {
            id,
            digest: get::<Option<&[u8]>>(row, "before_digest")?
                .map(Digest::try_from)
                .transpose()
                .map_err(|error| bad("request_digest", error))?,
            born: name(row, "before_born")?,
            created_at: get(row, "before_created_at")?,
        }),
        None => None,
    };
    let parent = match get::<Option<&str>>(row, "parent_state")? {
        Some(state) => Some((
            parse(state, "parent_state")?,
            id_opt(row, "parent_session")?,
        )),
        None => None,
    };
    Ok(Look {
        account,
        own,
        before,
        image: get(row, "image_found")?,
        mask: get(row, "mask_found")?,
        session: get(row, "session_found")?,
        parent,
    })
}

/// Inserts what was let in; returns when each was created.
pub(super) async fn insert(
    conn: &mut PgConnection,
    submissions: &[Submission],
    gate: &Gate,
) -> Result<HashMap<EditId, OffsetDateTime>> {
    let (tenants, tokens): (Vec<_>, Vec<_>) = gate
        .accounts
        .iter()
        .map(|(tenant, account)| (tenant.uuid(), account.tokens))
        .unzip();
    let of = || {
        gate.admitted
            .iter()
            .map(|admitted| &submissions[admitted.at])
    };
    let ids = |pick: fn(&Submission) -> Option<Uuid>| of().map(pick).collect::<Vec<_>>();
    let mut specs = Vec::with_capacity(gate.admitted.len());
    for submission in of() {
        specs.push(spec(submission)?);
    }
    let rows = sqlx::query(include_str!("../sql/submit_insert.sql"))
        .bind(tenants)
        .bind(tokens)
        .bind(
            of().map(|submission| submission.id.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            of().map(|submission| submission.tenant.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(
            gate.admitted
                .iter()
                .map(|admitted| admitted.session.map(SessionId::uuid))
                .collect::<Vec<_>>(),
        )
        .bind(ids(|submission| submission.batch.map(BatchId::uuid)))
        .bind(ids(|submission| submission.image.map(ImageId::uuid)))
        .bind(ids(|submission| submission.parent.map(EditId::uuid)))
        .bind(ids(|submission| submission.mask.map(ImageId::uuid)))
        .bind(
            of().map(|submission| submission.model.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            of().map(|submission| submission.class.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(specs)
        .bind(
            gate.admitted
                .iter()
                .map(|admitted| admitted.state.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(of().map(max_attempts).collect::<Vec<_>>())
        .bind(
            of().map(|submission| {
                submission
                    .idempotency
                    .as_ref()
                    .map(|idempotency| idempotency.key.as_str())
            })
            .collect::<Vec<_>>(),
        )
        .bind(
            of().map(|submission| {
                submission
                    .idempotency
                    .as_ref()
                    .map(|idempotency| idempotency.digest.bytes().to_vec())
            })
            .collect::<Vec<_>>(),
        )
        .bind(
            of().map(|submission| submission.webhook_url.as_deref().map(clean))
                .collect::<Vec<_>>(),
        )
        .bind(
            of().map(|submission| submission.trace.as_deref().map(trace))
                .collect::<Vec<_>>(),
        )
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| Ok((id(row, "id")?, get(row, "created_at")?)))
        .collect()
}

fn spec(submission: &Submission) -> Result<Value> {
    serde_json::to_value(&submission.spec)
        .map(clean_json)
        .map_err(|error| bad("spec", error))
}

fn max_attempts(submission: &Submission) -> i16 {
    i16::try_from(submission.max_attempts)
        .unwrap_or(i16::MAX)
        .max(1)
}

/// A trace context that is longer than any real one is not worth an edit.
fn trace(trace: &str) -> String {
    clean(trace).chars().take(512).collect()
}
