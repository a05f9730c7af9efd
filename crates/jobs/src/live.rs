//! What watchers are sent at once. It may be lost on the way: whoever must not miss an event reads the history.

use crate::events::EditEvent;
use crate::ids::EditId;
use crate::state::Epoch;
use serde::{Deserialize, Serialize};

/// A message to the watchers of an edit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Live {
    /// An event, which the history in Postgres has as well.
    Event(EditEvent),
    /// A small picture of how far the edit is. It is not stored.
    Preview {
        /// The edit that it shows.
        edit: EditId,
        /// Epoch of the claim that it was made under.
        epoch: Epoch,
        /// Number of steps done.
        step: u32,
        /// The picture, a JPEG in base64.
        jpeg: String,
    },
}

impl Live {
    /// The edit whose watchers it is for.
    pub const fn edit(&self) -> EditId {
        match self {
            Self::Event(event) => event.edit,
            Self::Preview { edit, .. } => *edit,
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
            seq: 2,
            at: time::OffsetDateTime::UNIX_EPOCH,
            kind: EventKind::Started,
            data: serde_json::json!({"epoch": 1}),
        };
        let preview = Live::Preview {
            edit,
            epoch: Epoch::new(1),
            step: 4,
            jpeg: "/9j/".to_owned(),
        };
        for (live, kind) in [(Live::Event(event), "event"), (preview, "preview")] {
            let json = serde_json::to_value(&live).unwrap();
            assert_eq!(json["type"], kind);
            assert_eq!(serde_json::from_value::<Live>(json).unwrap(), live);
            assert_eq!(live.edit(), edit);
        }
    }
}
