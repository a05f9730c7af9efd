//! Sessions.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::ids::SessionId;

/// A session: edits that build on each other, kept together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Id of the session, for the field `session` of an edit.
    pub id: SessionId,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When an edit was last added to it.
    #[serde(with = "time::serde::rfc3339")]
    pub used_at: OffsetDateTime,
    /// Paths of the session on this server.
    pub links: SessionLinks,
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
}

impl SessionLinks {
    /// The links of this session.
    pub fn new(session: SessionId) -> Self {
        Self {
            this: format!("/v1/sessions/{session}"),
            edits: format!("/v1/edits?session={session}"),
        }
    }
}
