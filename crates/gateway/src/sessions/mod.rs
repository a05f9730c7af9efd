//! `/v1/sessions`: edits that build on each other, as a tree with a head and branches.
//!
//! `read` makes and shows sessions, `turns` posts to them, `head` moves the head, `branches` names turns, `delete` takes a session
//! away, `events` is the stream of all its turns.

pub(crate) mod branches;
pub(crate) mod delete;
pub(crate) mod events;
pub(crate) mod head;
mod poller;
pub(crate) mod read;
pub(crate) mod turns;
mod watcher;

pub(crate) use poller::SessionPoller;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use limekiln_jobs::session::Stuck;
use serde::Serialize;

use crate::problem::{Problem, ProblemCode};

/// An answer about a session, with the version of its head as entity tag.
fn tagged(version: u64, body: impl Serialize) -> Response {
    ([etag(version)], Json(body)).into_response()
}

fn etag(version: u64) -> (HeaderName, HeaderValue) {
    // Digits and quotes are always a header's value.
    let tag = HeaderValue::from_str(&format!("\"{version}\""));
    (
        header::ETAG,
        tag.unwrap_or(HeaderValue::from_static("\"0\"")),
    )
}

fn not_found() -> Problem {
    Problem::plain(ProblemCode::SessionNotFound)
}

/// Why a head or a branch can't go somewhere.
fn stuck(stuck: Stuck) -> Problem {
    Problem::plain(match stuck {
        Stuck::AtPicture => ProblemCode::NothingToUndo,
        Stuck::AtLeaf => ProblemCode::NothingToRedo,
        Stuck::NoTurn => ProblemCode::TurnNotFound,
        Stuck::Lost => ProblemCode::TurnEnded,
    })
}
