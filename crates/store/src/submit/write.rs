//! The two statements of a submit: look at everything that is named, insert what was let in.

use std::collections::HashMap;

use limekiln_jobs::{BatchId, Digest, EditId, ImageId, Needs, SessionId};
use serde_json::Value;
use sqlx::postgres::{PgConnection, PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::gate::{Account, Gate, Look};
use super::seats::{Place, Seat, Seats, Start};
use crate::arrays::column;
use crate::row::{
    bad, big, clean, clean_json, get, id, id_opt, int, small, small_opt, whole, word,
};
use crate::{Earlier, Result, Submission};

/// Locks the sessions of the submissions.
pub(super) async fn seats(conn: &mut PgConnection, submissions: &[Submission]) -> Result<Seats> {
    let of = || submissions.iter();
    let sessions = column(of(), |submission| submission.session.map(SessionId::uuid));
    let parents = column(of(), |submission| submission.parent.map(EditId::uuid));
    // Most edits are of pictures, outside of sessions.
    if sessions.iter().chain(&parents).all(Option::is_none) {
        return Ok(Seats::default());
    }
    let rows = sqlx::query(include_str!("../sql/submit_sessions.sql"))
        .bind(sessions)
        .bind(parents)
        .bind(column(of(), |submission| submission.tenant.uuid()))
        .fetch_all(conn)
        .await?;
    let seat = |row: &PgRow| {
        Ok(Seat {
            id: id(row, "id")?,
            tenant: id(row, "tenant_id")?,
            image: id_opt(row, "image_id")?,
            head: id_opt(row, "head")?,
            version: whole(row, "version")?,
            turns: small(row, "turns")?,
        })
    };
    Ok(Seats::new(
        rows.iter().map(seat).collect::<Result<Vec<_>>>()?,
    ))
}

pub(super) async fn look(
    conn: &mut PgConnection,
    submissions: &[Submission],
    seats: &Seats,
) -> Result<Vec<Look>> {
    let of = || submissions.iter();
    let ids = |pick: fn(&Submission) -> Option<Uuid>| column(of(), pick);
    let rows = sqlx::query(include_str!("../sql/submit_look.sql"))
        .bind(column(of(), |submission| submission.tenant.uuid()))
        .bind(ids(|submission| submission.image.map(ImageId::uuid)))
        .bind(ids(|submission| submission.mask.map(ImageId::uuid)))
        .bind(column(of(), |submission| {
            let head = submission.session.filter(|_| submission.is_at_head());
            let parent = submission
                .parent
                .or_else(|| head.and_then(|session| seats.head(session)));
            parent.map(EditId::uuid)
        }))
        .bind(column(of(), idempotency_key))
        .bind(column(of(), |submission| submission.id.uuid()))
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
            rate_burst: small(row, "rate_burst")?,
            tokens,
            at: get(row, "at")?,
        }),
        None => None,
    };
    let own = match id_opt(row, "own_id")? {
        Some(id) => Some(Earlier {
            id,
            digest: None,
            born: word(row, "own_born")?,
            created_at: get(row, "own_created_at")?,
        }),
        None => None,
    };
    let before = match id_opt(row, "before_id")? {
        Some(id) => Some(Earlier {
            id,
            digest: request_digest(row, "before_digest")?,
            born: word(row, "before_born")?,
            created_at: get(row, "before_created_at")?,
        }),
        None => None,
    };
    let parent = match get::<Option<&str>>(row, "parent_state")? {
        Some(state) => {
            let place = Place {
                session: id_opt(row, "parent_session")?,
                depth: small_opt(row, "parent_depth")?.unwrap_or(0),
            };
            Some((state.into(), place))
        }
        None => None,
    };
    Ok(Look {
        account,
        own,
        before,
        image: get(row, "image_found")?,
        mask: get(row, "mask_found")?,
        parent,
    })
}

fn request_digest(row: &PgRow, column: &'static str) -> Result<Option<Digest>> {
    get::<Option<&[u8]>>(row, column)?
        .map(Digest::try_from)
        .transpose()
        .map_err(|error| bad("request_digest", error))
}

/// An edit that an idempotency key is known by, if there is one.
pub(super) fn earlier(row: &PgRow) -> Result<Option<Earlier>> {
    let Some(id) = id_opt(row, "id")? else {
        return Ok(None);
    };
    Ok(Some(Earlier {
        id,
        digest: request_digest(row, "request_digest")?,
        born: word(row, "born")?,
        created_at: get(row, "created_at")?,
    }))
}

/// Inserts what was let in; returns when each was created.
pub(super) async fn insert(
    conn: &mut PgConnection,
    submissions: &[Submission],
    gate: &Gate,
) -> Result<HashMap<EditId, OffsetDateTime>> {
    let tenants: Vec<_> = gate.accounts.keys().map(|tenant| tenant.uuid()).collect();
    let tokens = column(gate.accounts.values(), |account| account.tokens);
    let at = column(gate.accounts.values(), |account| account.at);
    let of = || {
        gate.admitted
            .iter()
            .map(|admitted| &submissions[admitted.at])
    };
    let ids = |pick: fn(&Submission) -> Option<Uuid>| column(of(), pick);
    let turns = || gate.admitted.iter().map(|admitted| admitted.start.turn);
    let specs = of().map(spec).collect::<Result<Vec<_>>>()?;
    let rows = sqlx::query(include_str!("../sql/submit_insert.sql"))
        .bind(tenants)
        .bind(tokens)
        .bind(column(of(), |submission| submission.id.uuid()))
        .bind(column(of(), |submission| submission.tenant.uuid()))
        .bind(column(&gate.admitted, |admitted| {
            admitted.start.turn.map(|turn| turn.session.uuid())
        }))
        .bind(ids(|submission| submission.batch.map(BatchId::uuid)))
        .bind(column(&gate.admitted, |admitted| {
            admitted.start.image.map(ImageId::uuid)
        }))
        .bind(column(&gate.admitted, |admitted| {
            admitted.start.parent.map(EditId::uuid)
        }))
        .bind(ids(|submission| submission.mask.map(ImageId::uuid)))
        .bind(column(of(), |submission| submission.model.as_str()))
        .bind(column(of(), |submission| submission.class.as_str()))
        .bind(specs)
        .bind(column(&gate.admitted, |admitted| {
            admitted.start.state.as_str()
        }))
        .bind(column(of(), max_attempts))
        .bind(column(of(), idempotency_key))
        .bind(column(of(), |submission| {
            submission
                .idempotency
                .as_ref()
                .map(|idempotency| idempotency.digest.bytes().to_vec())
        }))
        .bind(column(of(), |submission| {
            submission.webhook_url.as_deref().map(clean)
        }))
        .bind(column(of(), |submission| {
            submission.trace.as_deref().map(trace)
        }))
        .bind(column(&gate.admitted, |admitted| {
            needs(&submissions[admitted.at], &admitted.start)
        }))
        .bind(at)
        .bind(column(turns(), |turn| {
            turn.and_then(|turn| turn.parent).map(EditId::uuid)
        }))
        .bind(column(turns(), |turn| turn.map(|turn| int(turn.depth))))
        .bind(column(turns(), |turn| turn.map(|turn| int(turn.number))))
        .bind(column(turns(), |turn| turn.map(|turn| big(turn.visited))))
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

/// Needs, a line each: an array of arrays has to be rectangular. A turn needs a worker that knows pictures in
/// layers.
fn needs(submission: &Submission, start: &Start) -> Option<String> {
    let mut needs = submission.spec.needs();
    if start.turn.is_some() {
        needs.extend([Needs::LAYERS.to_owned()]);
    }
    needs.extend(submission.needs.iter().map(clean));
    let needs: Vec<_> = needs.into_iter().collect();
    (!needs.is_empty()).then(|| needs.join("\n"))
}

fn idempotency_key(submission: &Submission) -> Option<&str> {
    let idempotency = submission.idempotency.as_ref();
    idempotency.map(|idempotency| idempotency.key.as_str())
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
