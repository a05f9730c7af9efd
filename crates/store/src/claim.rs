//! A worker takes edits under a lease.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::{Class, EditId, Epoch, ModelName, SessionId, Spec, TenantId, WorkerId};

use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;

use crate::arrays::rounds;
use crate::release::input;
use crate::row::{blob, digest, epoch, get, id, id_opt, json, name, small, tiny, whole};
use crate::{BlobRef, Checkpoint, Result, Store};

/// An edit under a lease, with all a worker needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The edit.
    pub edit: EditId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its session.
    pub session: Option<SessionId>,
    /// The lease's epoch: every later write carries it.
    pub epoch: Epoch,
    /// The model it needs.
    pub model: ModelName,
    /// Its class.
    pub class: Class,
    /// What the engine is told.
    pub spec: Spec,
    /// What it starts from.
    pub input: BlobRef,
    /// Its mask; `spec.mask` is its digest.
    pub mask: Option<BlobRef>,
    /// Where an earlier attempt got to.
    pub checkpoint: Option<Checkpoint>,
    /// Number of its newest event.
    pub seq: u64,
    /// Attempts charged so far.
    pub attempts: u16,
    /// Attempts before it is given up.
    pub max_attempts: u16,
    /// `traceparent` of the request.
    pub trace: Option<String>,
}

impl Store {
    /// Claims the named edits, as far as they are queued: the next epoch, a lease for `ttl`.
    ///
    /// Answers are in the order of `edits`; `None` is an edit that cannot be claimed, for whatever reason.
    /// An id that is named twice is claimed once.
    pub async fn edits_claim(
        &self,
        worker: WorkerId,
        edits: &[EditId],
        ttl: Duration,
    ) -> Result<Vec<Option<Claimed>>> {
        self.lease(
            "edits_claim",
            sqlx::query(include_str!("sql/edits_claim.sql")),
            worker,
            edits,
            ttl,
        )
        .await
    }

    /// What an earlier [`Store::edits_claim`] may have given this worker although its answer was lost: leases that
    /// this worker holds on the named edits, renewed for `ttl`. Name only edits that this worker is not working on.
    pub async fn edits_reclaim(
        &self,
        worker: WorkerId,
        edits: &[EditId],
        ttl: Duration,
    ) -> Result<Vec<Option<Claimed>>> {
        self.lease(
            "edits_reclaim",
            sqlx::query(include_str!("sql/edits_reclaim.sql")),
            worker,
            edits,
            ttl,
        )
        .await
    }

    async fn lease(
        &self,
        name: &'static str,
        statement: Query<'_, Postgres, PgArguments>,
        worker: WorkerId,
        edits: &[EditId],
        ttl: Duration,
    ) -> Result<Vec<Option<Claimed>>> {
        let mut answers: Vec<Option<Claimed>> = Vec::new();
        answers.resize_with(edits.len(), || None);
        // What is named twice is claimed once.
        let Some(round) = rounds(edits.iter().copied()).into_iter().next() else {
            return Ok(answers);
        };
        let places: HashMap<EditId, usize> = round.iter().map(|&at| (edits[at], at)).collect();
        let ids: Vec<_> = round.iter().map(|&at| edits[at].uuid()).collect();
        let rows = self
            .rows(
                name,
                statement
                    .bind(worker.uuid())
                    .bind(ids)
                    .bind(ttl.as_secs_f64()),
            )
            .await?;
        for row in &rows {
            let claimed = claimed(row)?;
            if let Some(&at) = places.get(&claimed.edit) {
                answers[at] = Some(claimed);
            }
        }
        Ok(answers)
    }
}

fn claimed(row: &PgRow) -> Result<Claimed> {
    let mask = blob(
        row,
        ["mask_key", "mask_digest", "mask_bytes", "mask_media_type"],
    )?;
    let mut spec: Spec = json(get(row, "spec")?, "spec")?;
    spec.mask = mask.as_ref().map(|mask| mask.digest);
    let checkpoint = match get::<Option<String>>(row, "checkpoint_key")? {
        Some(key) => Some(Checkpoint {
            key,
            step: small(row, "checkpoint_step")?,
            digest: digest(row, "checkpoint_digest")?,
            bytes: whole(row, "checkpoint_bytes")?,
        }),
        None => None,
    };
    Ok(Claimed {
        edit: id(row, "id")?,
        tenant: id(row, "tenant_id")?,
        session: id_opt(row, "session_id")?,
        epoch: epoch(row, "epoch")?,
        model: name(row, "model")?,
        class: name(row, "class")?,
        spec,
        input: input(row)?,
        mask,
        checkpoint,
        seq: whole(row, "seq")?,
        attempts: tiny(row, "attempts")?,
        max_attempts: tiny(row, "max_attempts")?,
        trace: get(row, "trace")?,
    })
}
