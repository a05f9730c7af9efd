//! What watchers are sent at once. It may be lost on the way: whoever must not miss an event reads the history.

use crate::events::EditEvent;
use crate::ids::{EditId, SessionId};
use crate::state::Epoch;
use serde::{Deserialize, Serialize};

/// A message to the watchers of an edit, and to those of the session that it is a turn of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Live {
    /// An event, which the history in Postgres has as well.
    Event(EditEvent),
    /// A small picture of how far the edit is. It is not stored.
    Preview {
        /// The edit that it shows.
        edit: EditId,
        /// The session that the edit is a turn of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
        /// Epoch of the claim that it was made under.
        epoch: Epoch,
        /// Number of steps done.
        step: u32,
        /// The picture, a JPEG in base64.
        jpeg: String,
    },
    /// Something happened in a session: its events have more. For the session's watchers alone.
    Session {
        /// The session.
        session: SessionId,
    },
}

impl Live {
    /// The edit whose watchers it is for.
    pub const fn edit(&self) -> Option<EditId> {
        match self {
            Self::Event(event) => Some(event.edit),
            Self::Preview { edit, .. } => Some(*edit),
            Self::Session { .. } => None,
        }
    }

    /// The session whose watchers it is for.
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Event(event) => event.session,
            Self::Preview { session, .. } => *session,
            Self::Session { session } => Some(*session),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventKind;

    #[test]
    fn json_and_back() {
        let edit = EditId::new();
        let event = EditEvent {
            edit,
            session: None,
            seq: 2,
            at: time::OffsetDateTime::UNIX_EPOCH,
            kind: EventKind::Started,
            data: serde_json::json!({"epoch": 1}),
        };
        let preview = Live::Preview {
            edit,
            session: None,
            epoch: Epoch::new(1),
            step: 4,
            jpeg: "/9j/".to_owned(),
        };
        for (live, kind) in [(Live::Event(event), "event"), (preview, "preview")] {
            let json = serde_json::to_value(&live).unwrap();
            assert_eq!(json["type"], kind);
            assert_eq!(serde_json::from_value::<Live>(json).unwrap(), live);
            assert_eq!(live.edit(), Some(edit));
        }
    }
}
