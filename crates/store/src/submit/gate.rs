//! Who is let in: pure decisions over what was looked up under the tenants' locks.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::{EditId, SessionId, StateName, TenantId};
use time::OffsetDateTime;

use crate::{Earlier, Submission, Submitted};

/// What the database says about one submission.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) account: Option<Account>,
    /// This very edit: the answer to an earlier call was lost.
    pub(super) own: Option<Earlier>,
    /// An edit with the same idempotency key.
    pub(super) before: Option<Earlier>,
    pub(super) image: bool,
    pub(super) mask: bool,
    pub(super) session: bool,
    pub(super) parent: Option<(StateName, Option<SessionId>)>,
}

/// A tenant's limits, and what is left of them.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) in_flight: u32,
    pub(super) limit: u32,
    pub(super) rate_per_second: f64,
    pub(super) rate_burst: u32,
    pub(super) tokens: f64,
    /// When these were its tokens, by the database's clock.
    pub(super) at: OffsetDateTime,
}

/// A submission that is let in.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Its place in the call.
    pub(super) at: usize,
    pub(super) state: StateName,
    pub(super) session: Option<SessionId>,
}

/// What was decided so far in this call.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pub(super) accounts: HashMap<TenantId, Account>,
    pub(super) admitted: Vec<Admitted>,
    /// Edits of this call, which the database does not know yet.
    edits: HashMap<EditId, (TenantId, Option<SessionId>)>,
    keys: HashMap<(TenantId, String), Earlier>,
}

impl Gate {
    /// Decides on the submission at place `at`; its time of creation is the epoch until the database has given it one.
    pub(super) fn admit(&mut self, at: usize, submission: &Submission, look: &Look) -> Submitted {
        if let Some(own) = &look.own {
            return Submitted::Created {
                state: own.born,
                created_at: own.created_at,
                seq: 1,
            };
        }
        let Some(account) = &look.account else {
            return Submitted::NoTenant;
        };
        if let Some(answer) = self.replay(submission, look) {
            return answer;
        }
        let (state, inherited) = match self.start(submission, look) {
            Ok(start) => start,
            Err(refused) => return refused,
        };
        let account = self
            .accounts
            .entry(submission.tenant)
            .or_insert_with(|| account.clone());
        if account.in_flight >= account.limit {
            return Submitted::InFlight {
                limit: account.limit,
            };
        }
        if account.tokens < 1.0 {
            // Rounded up, so that whoever waits exactly as long is let in.
            let retry_after =
                Duration::from_secs_f64((1.0 - account.tokens) / account.rate_per_second)
                    + Duration::from_millis(1);
            return Submitted::RateLimited {
                retry_after,
                burst: account.rate_burst,
            };
        }
        account.in_flight += 1;
        account.tokens -= 1.0;
        let session = submission.session.or(inherited);
        self.admitted.push(Admitted { at, state, session });
        self.edits
            .insert(submission.id, (submission.tenant, session));
        let created_at = OffsetDateTime::UNIX_EPOCH;
        if let Some(idempotency) = &submission.idempotency {
            let earlier = Earlier {
                id: submission.id,
                digest: Some(idempotency.digest),
                born: state,
                created_at,
            };
            self.keys
                .insert((submission.tenant, idempotency.key.clone()), earlier);
        }
        Submitted::Created {
            state,
            created_at,
            seq: 1,
        }
    }

    /// The answer to a key that came before, in the database or in this call.
    fn replay(&self, submission: &Submission, look: &Look) -> Option<Submitted> {
        let idempotency = submission.idempotency.as_ref()?;
        let key = (submission.tenant, idempotency.key.clone());
        let before = look.before.as_ref().or_else(|| self.keys.get(&key))?;
        Some(if before.digest == Some(idempotency.digest) {
            Submitted::Replayed {
                id: before.id,
                state: before.born,
                created_at: before.created_at,
            }
        } else {
            Submitted::KeyReused
        })
    }

    /// The first state, and the parent's session; or what is missing.
    fn start(
        &self,
        submission: &Submission,
        look: &Look,
    ) -> Result<(StateName, Option<SessionId>), Submitted> {
        if submission.session.is_some() && !look.session {
            return Err(Submitted::NoSession);
        }
        if submission.mask.is_some() && !look.mask {
            return Err(Submitted::NoMask);
        }
        let Some(parent) = submission.parent else {
            return if look.image {
                Ok((StateName::Queued, None))
            } else {
                Err(Submitted::NoImage)
            };
        };
        let here = self
            .edits
            .get(&parent)
            .filter(|(tenant, _)| *tenant == submission.tenant);
        match (look.parent, here) {
            (Some((StateName::Succeeded, session)), _) => Ok((StateName::Queued, session)),
            (Some((state, _)), _) if state.is_terminal() => Err(Submitted::ParentEnded),
            (Some((_, session)), _) => Ok((StateName::Waiting, session)),
            (None, Some(&(_, session))) => Ok((StateName::Waiting, session)),
            (None, None) => Err(Submitted::NoParent),
        }
    }
}
