//! A worker takes edits under a lease.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::{
    Class, Digest, EditId, Epoch, Failure, FailureClass, ModelName, SessionId, Spec, TenantId,
    WorkerId,
};

use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;

use crate::arrays::rounds;
use crate::layers;
use crate::row::{
    blob, digest, epoch, get, id, id_opt, json, name, small, tiny, unreadable, whole, word,
};
use crate::{BlobRef, Checkpoint, Failed, Result, Store};

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
    /// What turns before it changed of the input, the first one's first.
    pub patches: Vec<BlobRef>,
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
    /// How often the engine hung on it, or on it among others: with any, it must compute alone.
    pub hangs: u16,
    /// Whether its region was told.
    pub located: bool,
    /// `traceparent` of the request.
    pub trace: Option<String>,
}

impl Store {
    /// Claims the named edits, as far as they are queued: the next epoch, a lease for `ttl`.
    ///
    /// Answers are in the order of `edits`; `None` is an edit that cannot be claimed, for whatever reason: it may need what
    /// the worker has not said that it can.
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

    /// Edits that were announced to this worker and need what it can't do go back to the line; returns how many there were.
    pub async fn edits_return(&self, worker: WorkerId, edits: &[EditId]) -> Result<u64> {
        let mut edits: Vec<_> = edits.iter().map(|edit| edit.uuid()).collect();
        edits.sort_unstable();
        self.count(
            "edits_return",
            sqlx::query(include_str!("sql/edits_return.sql"))
                .bind(worker.uuid())
                .bind(edits),
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
        let mut failed = Vec::new();
        for row in &rows {
            match claimed(row) {
                Ok(claimed) => {
                    if let Some(&at) = places.get(&claimed.edit) {
                        answers[at] = Some(claimed);
                    }
                }
                // The claim is committed, and the other edits of it are well.
                Err(error) => {
                    unreadable(name, &error);
                    failed.push(Failed {
                        edit: id(row, "id")?,
                        epoch: epoch(row, "epoch")?,
                        failure: Failure::new(
                            FailureClass::Internal,
                            "row_unreadable",
                            error.to_string(),
                        ),
                        gpu_ms: 0,
                    });
                }
            }
        }
        if !failed.is_empty()
            && let Err(error) = self.edits_fail(&failed).await
        {
            tracing::warn!(%error, edits = failed.len(), "edits that can't be read keep their leases until these run out");
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
        class: word(row, "class")?,
        spec,
        input: input(row)?,
        patches: layers::patches(get(row, "input_patches")?)?,
        mask,
        checkpoint,
        seq: whole(row, "seq")?,
        attempts: tiny(row, "attempts")?,
        max_attempts: tiny(row, "max_attempts")?,
        hangs: tiny(row, "hangs")?,
        located: get(row, "located")?,
        trace: get(row, "trace")?,
    })
}

/// What an edit starts from, in a row. A parent that left no result (the null editor without blobs) gives an empty key, which no
/// bucket has.
pub(crate) fn input(row: &PgRow) -> Result<BlobRef> {
    let found = blob(
        row,
        [
            "input_key",
            "input_digest",
            "input_bytes",
            "input_media_type",
        ],
    )?;
    Ok(found.unwrap_or_else(|| BlobRef {
        key: String::new(),
        digest: Digest::of(b""),
        bytes: 0,
        media_type: "application/octet-stream".to_owned(),
    }))
}
