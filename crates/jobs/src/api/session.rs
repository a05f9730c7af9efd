//! Sessions.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::problem::Invalid;
use crate::events::EditEvent;
use crate::ids::{EditId, ImageId, SessionId};
use crate::request::{EditRequest, control_free};
use crate::session::TITLE_CHARS_MAX;
use crate::state::{Failure, StateName};

/// A session to make. Everything may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// Picture that the session starts from, as uploaded with `POST /v1/images`. Without one, that of its first turn.
    #[serde(default)]
    pub image: Option<ImageId>,
    /// What the session is called.
    #[serde(default)]
    #[schema(max_length = 200, example = "The green room")]
    pub title: Option<String>,
}

/// What to change of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionChange {
    /// What the session is called from now on; empty: nothing.
    #[schema(max_length = 200, example = "The green room")]
    pub title: String,
}

/// A turn of a session: an edit request without `session`. Without `parent` it builds on the session's head. `image` may only
/// be the picture that the session starts from: the turn then builds on that, whatever the head.
// The schema is made from that of an edit's request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct TurnRequest(pub EditRequest);

/// Where to move a session's head. Exactly one of the fields is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"move": "undo"}))]
pub struct HeadRequest {
    /// A step, or all the way back.
    #[serde(default, rename = "move", skip_serializing_if = "Option::is_none")]
    pub step: Option<HeadStep>,
    /// A turn of the session. It may still be running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<EditId>,
    /// A branch of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$", example = "warm")]
    pub branch: Option<String>,
}

crate::text_enum::text_enum! {
    /// A step of a session's head.
    pub enum HeadStep, "a move" {
        /// To the turn that the head builds on, or to the picture.
        Undo = "undo",
        /// To the turn that builds on the head, of several to that on whose side the head was last.
        Redo = "redo",
        /// To the picture that the session starts from.
        Root = "root",
    }
}

/// A branch to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BranchRequest {
    /// Name of the branch.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$", example = "warm")]
    pub name: String,
    /// Turn that it names. By default the head.
    #[serde(default)]
    pub turn: Option<EditId>,
}

/// What to change of a branch. At least one of the fields is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "warmer"}))]
pub struct BranchChange {
    /// Another name.
    #[serde(default)]
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$", example = "warmer")]
    pub name: Option<String>,
    /// Turn that it names from now on.
    #[serde(default)]
    pub turn: Option<EditId>,
}

/// A name for a turn. One whose turn ends without a result names the nearest turn before that has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Branch {
    /// Its name.
    #[schema(example = "warm")]
    pub name: String,
    /// The turn that it names; null: the picture that the session starts from.
    pub turn: Option<EditId>,
}

/// Which sessions to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// Number of sessions on a page. 20 by default.
    #[param(minimum = 1, maximum = 100, example = 20)]
    pub limit: Option<u32>,
    /// Where the page starts: `next` of the page before. By default at the newest.
    #[param(value_type = Option<SessionId>)]
    pub cursor: Option<String>,
}

/// A page of sessions, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<SessionView>,
    /// `cursor` of the next page; null on the last.
    pub next: Option<SessionId>,
}

/// A session: a tree of edits that grows from one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Id of the session, for the field `session` of an edit.
    pub id: SessionId,
    /// What it is called; empty where nobody said.
    #[schema(example = "The green room")]
    pub title: String,
    /// Picture that it starts from; null until its first turn names one.
    pub image: Option<ImageId>,
    /// Turn that the next one builds on by default; null: the picture itself. A turn that ends without a result gives the head
    /// back to the nearest turn before it that has not.
    pub head: Option<EditId>,
    /// Counts the moves of the head. The header `ETag` has it in quotes, and `If-Match` takes it.
    #[schema(example = 3)]
    pub version: u64,
    /// Number of turns that it ever had.
    #[schema(example = 2)]
    pub turns: u32,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When a turn was last added to it.
    #[serde(with = "time::serde::rfc3339")]
    pub used_at: OffsetDateTime,
    /// Paths of the session on this server.
    pub links: SessionLinks,
}

/// A session with all its turns and branches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionTree {
    /// The session.
    #[serde(flatten)]
    pub session: SessionView,
    /// Its turns, in the order in which they were posted.
    pub tree: Vec<TurnView>,
    /// Its branches, by name.
    pub branches: Vec<Branch>,
}

/// A turn of a session. `GET /v1/edits/{id}` shows all of the edit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TurnView {
    /// Id of the edit.
    pub id: EditId,
    /// Its number in the session, from 1.
    #[schema(example = 2)]
    pub number: u32,
    /// Turn that it builds on; null: the picture that the session starts from.
    pub parent: Option<EditId>,
    /// Turns from the picture to this one, itself included.
    #[schema(example = 2)]
    pub depth: u32,
    /// State of the edit.
    pub state: StateName,
    /// What to change, in words.
    #[schema(example = "make the sofa red")]
    pub instruction: String,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
    /// Why it failed, or why it is tried again.
    pub error: Option<Failure>,
}

/// An event of a session: one of a turn, or a move of the head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionEvent {
    /// The session.
    pub session: SessionId,
    /// Number of the event among the session's, from 1. Events that were forgotten by age leave gaps.
    #[schema(example = 5)]
    pub seq: u64,
    /// The event of a turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<EditEvent>,
    /// Where the head went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<HeadMoved>,
}

/// Where a session's head is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeadMoved {
    /// The turn; null: the picture that the session starts from.
    pub turn: Option<EditId>,
    /// Version of the session since then.
    #[schema(example = 3)]
    pub version: u64,
}

/// Paths of a session on this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionLinks {
    /// The session itself.
    #[serde(rename = "self")]
    #[schema(example = "/v1/sessions/01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57")]
    pub this: String,
    /// The edits of the session, newest first.
    #[schema(example = "/v1/edits?session=01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57")]
    pub edits: String,
    /// Where a `POST` adds a turn.
    #[serde(default)]
    #[schema(example = "/v1/sessions/01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57/edits")]
    pub turns: String,
    /// Where a `POST` moves the head.
    #[serde(default)]
    #[schema(example = "/v1/sessions/01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57/head")]
    pub head: String,
    /// The stream of its events.
    #[serde(default)]
    #[schema(example = "/v1/sessions/01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57/events")]
    pub events: String,
}

impl SessionLinks {
    /// The links of this session.
    pub fn new(session: SessionId) -> Self {
        let this = format!("/v1/sessions/{session}");
        Self {
            edits: format!("/v1/edits?session={session}"),
            turns: format!("{this}/edits"),
            head: format!("{this}/head"),
            events: format!("{this}/events"),
            this,
        }
    }
}

/// Checks a title.
///
/// # Errors
/// What it must be.
pub fn title_check(title: &str) -> Result<(), Invalid> {
    let fits = title.chars().count() <= TITLE_CHARS_MAX && control_free(title);
    fits.then_some(()).ok_or_else(|| {
        let message =
            format!("must have at most {TITLE_CHARS_MAX} characters, and no control characters");
        Invalid::new("title", message)
    })
}

/// Checks the name of a branch.
///
/// # Errors
/// What it must be.
pub fn branch_check(field: &str, name: &str) -> Result<(), Invalid> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let starts = name.bytes().next().is_some_and(plain);
    let holds = |byte: u8| plain(byte) || b"._-".contains(&byte);
    let fits = starts && name.len() <= 63 && name.bytes().all(holds);
    fits.then_some(()).ok_or_else(|| {
        let message = "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', a letter or digit first";
        Invalid::new(field, message)
    })
}

impl HeadRequest {
    /// Checks that one thing is asked for.
    ///
    /// # Errors
    /// The fields that are wrong.
    pub fn validate(&self) -> Result<(), Vec<Invalid>> {
        let given = [
            self.step.is_some(),
            self.turn.is_some(),
            self.branch.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            let message = "exactly one of move, turn and branch must be given";
            return Err(vec![Invalid::new("move", message)]);
        }
        match &self.branch {
            Some(name) => branch_check("branch", name).map_err(|error| vec![error]),
            None => Ok(()),
        }
    }
}

impl TurnRequest {
    /// The fields that an edit request has and a turn has not.
    pub const WITHOUT: [&str; 1] = ["session"];
}
