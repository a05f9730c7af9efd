//! An edit that is to be written, and what may become of it.

use std::time::Duration;

use limekiln_jobs::{
    BatchId, Class, Digest, EditId, ImageId, Job, ModelName, Needs, SessionId, Spec, StateName,
    TenantId,
};
use time::OffsetDateTime;

use crate::{Error, Result};

/// An `Idempotency-Key` and what it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The header's value; 1 to 255 characters.
    pub key: String,
    /// Digest of the body.
    pub digest: Digest,
}

/// An edit that is there already.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// The edit.
    pub id: EditId,
    /// Digest of the request's body; none for one that came without a key.
    pub digest: Option<Digest>,
    /// Its first state.
    pub born: StateName,
    /// When it was written.
    pub created_at: OffsetDateTime,
}

/// An edit to be written. Exactly one of `image` and `parent` is given; neither, where it builds on its session's head.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The edit's id, made by the caller.
    pub id: EditId,
    /// The tenant whose edit it is.
    pub tenant: TenantId,
    /// The image it starts from.
    pub image: Option<ImageId>,
    /// The edit whose result it starts from.
    pub parent: Option<EditId>,
    /// The session; with `None` the parent's.
    pub session: Option<SessionId>,
    /// The version that the session must have.
    pub version: Option<u64>,
    /// The mask's image. `spec.mask` is filled in from it by the claim.
    pub mask: Option<ImageId>,
    /// The batch it belongs to.
    pub batch: Option<BatchId>,
    /// The model it needs.
    pub model: ModelName,
    /// The class it waits in.
    pub class: Class,
    /// What the engine is told.
    pub spec: Spec,
    /// What its preset needs of a worker, beside what the spec's own fields do.
    pub needs: Needs,
    /// Attempts before it is given up, from 1.
    pub max_attempts: u16,
    /// The URL that is told when it ends.
    pub webhook_url: Option<String>,
    /// The key under which the first answer is replayed.
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
        /// When it was written.
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
        /// How many are let in at once, after a pause.
        burst: u32,
    },
    /// No such image of this tenant.
    NoImage,
    /// No such edit of this tenant.
    NoParent,
    /// The edit it builds on ended without a result.
    ParentEnded,
    /// No such session of this tenant.
    NoSession,
    /// The session's head has moved since.
    HeadMoved {
        /// The session's version now.
        version: u64,
    },
    /// The session has no picture to start from.
    SessionEmpty,
    /// The session starts from another picture.
    ImageElsewhere,
    /// The edit it builds on is a turn of another session.
    ParentElsewhere,
    /// As many turns build on each other as may.
    TooDeep,
    /// The session has had as many turns as it may.
    TurnsLimit,
    /// No such mask image of this tenant.
    NoMask,
    /// No such tenant.
    NoTenant,
}

impl Submission {
    /// An interactive edit of an image, with nothing that is optional.
    pub fn new(tenant: TenantId, image: ImageId, model: ModelName, spec: Spec) -> Self {
        Self {
            id: EditId::new(),
            tenant,
            image: Some(image),
            parent: None,
            session: None,
            version: None,
            mask: None,
            batch: None,
            model,
            class: Class::Interactive,
            spec,
            needs: Needs::default(),
            max_attempts: Job::MAX_ATTEMPTS_DEFAULT,
            webhook_url: None,
            idempotency: None,
            trace: None,
        }
    }

    /// Starts from the result of this edit instead of an image.
    #[must_use]
    pub fn with_parent(mut self, parent: EditId) -> Self {
        self.image = None;
        self.parent = Some(parent);
        self
    }

    /// Builds on the session's head, or on its picture where that is the head.
    #[must_use]
    pub fn at_head(mut self, session: SessionId) -> Self {
        (self.image, self.parent) = (None, None);
        self.session = Some(session);
        self
    }

    /// Whether it builds on its session's head.
    pub(crate) fn is_at_head(&self) -> bool {
        self.image.is_none() && self.parent.is_none()
    }

    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |field, message: &str| {
            Err(Error::Invalid {
                field,
                message: message.to_owned(),
            })
        };
        if let Some(Idempotency { key, .. }) = &self.idempotency
            && (key.contains('\0') || !(1..=255).contains(&key.chars().count()))
        {
            return invalid(
                "idempotency_key",
                "must have 1 to 255 characters, none of them NUL",
            );
        }
        if self
            .webhook_url
            .as_ref()
            .is_some_and(|url| url.chars().count() > 2048)
        {
            return invalid("webhook", "must have at most 2048 characters");
        }
        let named = self.image.is_some() != self.parent.is_some();
        let at_head = self.is_at_head() && self.session.is_some();
        if !(named || at_head) {
            return invalid("image", "exactly one of image and parent must be given");
        }
        Ok(())
    }
}
