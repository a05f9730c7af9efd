//! Edits come in. The edit's own row is the outbox: nothing else has to be written.

use std::time::Duration;

use limekiln_jobs::{BatchId, Class, Digest, EditId, ImageId, ModelName, SessionId, Spec, StateName, TenantId};
use time::OffsetDateTime;

use crate::{Result, Store};

/// An `Idempotency-Key` and what it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The header's value; 1 to 255 characters.
    pub key: String,
    /// Digest of the body.
    pub digest: Digest,
}

/// An edit to be written. Exactly one of `image` and `parent` is given.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The edit's id, made by the caller.
    pub id: EditId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The image it starts from.
    pub image: Option<ImageId>,
    /// The edit whose result it starts from.
    pub parent: Option<EditId>,
    /// The session; with `None` the parent's.
    pub session: Option<SessionId>,
    /// The mask's image. `spec.mask` is filled in from it by the claim.
    pub mask: Option<ImageId>,
    /// The batch it belongs to.
    pub batch: Option<BatchId>,
    /// The model it needs.
    pub model: ModelName,
    /// Its class.
    pub class: Class,
    /// What the engine is told.
    pub spec: Spec,
    /// Attempts before it is given up, from 1.
    pub max_attempts: u16,
    /// Who is told when it ends.
    pub webhook_url: Option<String>,
    /// Replays the first answer.
    pub idempotency: Option<Idempotency>,
    /// `traceparent` of the request.
    pub trace: Option<String>,
}

/// What became of a submission. Only `Created` wrote anything.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// Written.
    Created {
        /// `Queued`, or `Waiting` for its parent.
        state: StateName,
        /// When.
        created_at: OffsetDateTime,
        /// Number of its first event.
        seq: u64,
    },
    /// The same key and body came before.
    Replayed {
        /// The edit that was created then.
        id: EditId,
        /// Its state when it was created.
        state: StateName,
        /// When it was created.
        created_at: OffsetDateTime,
    },
    /// The same key came before with another body.
    KeyReused,
    /// The tenant has as many unfinished edits as it may.
    InFlight {
        /// How many that is.
        limit: u32,
    },
    /// The tenant submits faster than it may.
    RateLimited {
        /// When one more will be let in.
        retry_after: Duration,
    },
    /// No such image of this tenant.
    NoImage,
    /// No such edit of this tenant.
    NoParent,
    /// The edit it builds on ended without a result.
    ParentEnded,
    /// No such session of this tenant.
    NoSession,
    /// No such mask image of this tenant.
    NoMask,
    /// No such tenant.
    NoTenant,
}

impl Store {
    /// Writes edits in one transaction; answers are in the order of `submissions`.
    ///
    /// Limits hold exactly across gateways: the tenant's row is locked, its counter and its token bucket are in it.
    /// Within one call, submissions of a tenant are let in in order.
    pub async fn edits_submit(&self, submissions: &[Submission]) -> Result<Vec<Submitted>> {
        let _ = submissions;
        todo!()
    }
}
