//! The sessions of a call, and the places of its turns in them.

use std::collections::HashMap;

use limekiln_jobs::session::{DEPTH_MAX, TURNS_MAX};
use limekiln_jobs::{EditId, ImageId, SessionId, StateName, TenantId};

use crate::Submitted;

/// Where an edit stands: in which session, and how far from its picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) session: Option<SessionId>,
    /// 0 outside of sessions.
    pub(super) depth: u32,
}

/// What an edit that is let in starts from.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) state: StateName,
    pub(super) image: Option<ImageId>,
    pub(super) parent: Option<EditId>,
    pub(super) turn: Option<NewTurn>,
}

/// A turn to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewTurn {
    pub(super) session: SessionId,
    /// The turn before it in the same session.
    pub(super) parent: Option<EditId>,
    pub(super) depth: u32,
    pub(super) number: u32,
    pub(super) visited: u64,
}

/// A session, locked, as the turns of this call that were let in leave it.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) id: SessionId,
    pub(super) tenant: TenantId,
    pub(super) image: Option<ImageId>,
    pub(super) head: Option<EditId>,
    pub(super) version: u64,
    pub(super) turns: u32,
}

/// The sessions of a call.
#[derive(Debug, Default)]
pub(super) struct Seats(HashMap<SessionId, Seat>);

impl Start {
    pub(super) fn place(&self) -> Place {
        let place = |turn: &NewTurn| Place {
            session: Some(turn.session),
            depth: turn.depth,
        };
        self.turn.as_ref().map(place).unwrap_or_default()
    }
}

impl Seat {
    /// The next turn, which builds on this turn of the session at this depth; without one, on a picture.
    pub(super) fn turn(&self, before: Option<(EditId, u32)>) -> Result<NewTurn, Submitted> {
        let depth = before.map_or(0, |(_, depth)| depth) + 1;
        if depth > DEPTH_MAX {
            return Err(Submitted::TooDeep);
        }
        if self.turns >= TURNS_MAX {
            return Err(Submitted::TurnsLimit);
        }
        Ok(NewTurn {
            session: self.id,
            parent: before.map(|(parent, _)| parent),
            depth,
            number: self.turns + 1,
            visited: self.version + 1,
        })
    }
}

impl Seats {
    pub(super) fn new(seats: impl IntoIterator<Item = Seat>) -> Self {
        Self(seats.into_iter().map(|seat| (seat.id, seat)).collect())
    }

    /// The tenant's session of this id.
    pub(super) fn of(&self, session: SessionId, tenant: TenantId) -> Result<&Seat, Submitted> {
        self.0
            .get(&session)
            .filter(|seat| seat.tenant == tenant)
            .ok_or(Submitted::NoSession)
    }

    /// The head of a session.
    pub(super) fn head(&self, session: SessionId) -> Option<EditId> {
        self.0.get(&session)?.head
    }

    /// The turn is let in: it is the head.
    pub(super) fn take(&mut self, edit: EditId, start: &Start) {
        let Some(turn) = &start.turn else { return };
        if let Some(seat) = self.0.get_mut(&turn.session) {
            seat.head = Some(edit);
            seat.version = turn.visited;
            seat.turns = turn.number;
            seat.image = seat.image.or(start.image);
        }
    }
}
