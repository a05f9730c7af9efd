//! Who is let in: pure decisions over what was looked up under the tenants' locks.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::{EditId, StateName, TenantId};
use time::OffsetDateTime;

use super::seats::{Place, Seats, Start};
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
    pub(super) parent: Option<(StateName, Place)>,
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
    pub(super) start: Start,
}

/// What was decided so far in this call.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) accounts: HashMap<TenantId, Account>,
    pub(super) admitted: Vec<Admitted>,
    seats: Seats,
    /// Edits of this call, which the database does not know yet.
    edits: HashMap<EditId, (TenantId, Place)>,
    keys: HashMap<(TenantId, String), Earlier>,
}

impl Gate {
    /// Nothing is decided yet.
    pub(super) fn new(seats: Seats) -> Self {
        Self {
            accounts: HashMap::new(),
            admitted: Vec::new(),
            seats,
            edits: HashMap::new(),
            keys: HashMap::new(),
        }
    }

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
        let start = match self.start(submission, look) {
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
        let (state, place) = (start.state, start.place());
        self.seats.take(submission.id, &start);
        self.admitted.push(Admitted { at, start });
        self.edits.insert(submission.id, (submission.tenant, place));
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

    /// What it starts from, and in which state; or what is missing.
    fn start(&self, submission: &Submission, look: &Look) -> Result<Start, Submitted> {
        let seat = match submission.session {
            Some(session) => Some(self.seats.of(session, submission.tenant)?),
            None => None,
        };
        if let (Some(seat), Some(expected)) = (seat, submission.version)
            && seat.version != expected
        {
            return Err(Submitted::HeadMoved {
                version: seat.version,
            });
        }
        if submission.mask.is_some() && !look.mask {
            return Err(Submitted::NoMask);
        }
        let parent = match seat {
            Some(seat) if submission.is_at_head() => seat.head,
            _ => submission.parent,
        };
        let Some(parent) = parent else {
            let image = match (submission.image, seat) {
                (Some(_), _) if !look.image => return Err(Submitted::NoImage),
                (Some(image), Some(seat)) if seat.image.is_some_and(|other| other != image) => {
                    return Err(Submitted::ImageElsewhere);
                }
                (Some(image), _) => image,
                (None, seat) => seat
                    .and_then(|seat| seat.image)
                    .ok_or(Submitted::SessionEmpty)?,
            };
            let turn = seat.map(|seat| seat.turn(None)).transpose()?;
            return Ok(Start {
                state: StateName::Queued,
                image: Some(image),
                parent: None,
                turn,
            });
        };
        let here = self
            .edits
            .get(&parent)
            .filter(|(tenant, _)| *tenant == submission.tenant);
        let (state, place) = match (look.parent.filter(|_| here.is_none()), here) {
            (Some((StateName::Succeeded, place)), _) => (StateName::Queued, place),
            (Some((state, _)), _) if state.is_terminal() => return Err(Submitted::ParentEnded),
            (Some((_, place)), _) => (StateName::Waiting, place),
            (None, Some((_, place))) => (StateName::Waiting, *place),
            (None, None) => return Err(Submitted::NoParent),
        };
        let seat = match (seat, place.session) {
            (Some(seat), Some(other)) if seat.id != other => {
                return Err(Submitted::ParentElsewhere);
            }
            // The segments of a turn's result are no turn.
            (None, Some(_)) if submission.spec.segments => None,
            (None, Some(inherited)) => Some(self.seats.of(inherited, submission.tenant)?),
            (seat, _) => seat,
        };
        // A parent of no session is the picture that a turn of this one starts from.
        let before = place.session.map(|_| (parent, place.depth));
        let turn = seat.map(|seat| seat.turn(before)).transpose()?;
        Ok(Start {
            state,
            image: None,
            parent: Some(parent),
            turn,
        })
    }
}
