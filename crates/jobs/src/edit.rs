//! An edit as the API shows it.

use crate::artifacts::{ArtifactKind, ArtifactView};
use crate::ids::{EditId, ImageId, SessionId};
use crate::request::Class;
use crate::state::{Failure, StateName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An edit: what was asked for, where it stands, what it left behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EditView {
    /// Its id.
    pub id: EditId,
    /// Where it stands.
    pub state: StateName,
    /// The model that runs it.
    #[schema(example = "rooms")]
    pub model: String,
    /// Its class.
    pub class: Class,
    /// What was asked for.
    #[schema(example = "make the sofa red")]
    pub instruction: String,
    /// The preset it started from.
    #[schema(example = "fast")]
    pub preset: String,
    /// The seed of its noise, drawn if none was given.
    #[schema(example = 7)]
    pub seed: u64,
    /// The picture it changes, unless that is another edit's result.
    pub image: Option<ImageId>,
    /// The edit whose result it changes.
    pub parent: Option<EditId>,
    /// The session it belongs to.
    pub session: Option<SessionId>,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When a worker first took it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
    /// Deaths and failures without progress so far.
    pub attempts: u16,
    /// What the engine is at.
    #[schema(example = "apply")]
    pub stage: Option<String>,
    /// Steps done, of all stages.
    #[schema(example = 12)]
    pub step: Option<u32>,
    /// Steps of all stages.
    #[schema(example = 30)]
    pub steps: Option<u32>,
    /// Number of its last event.
    #[schema(example = 9)]
    pub seq: u64,
    /// Why it failed, or why it is tried again.
    pub error: Option<Failure>,
    /// What it left behind.
    pub artifacts: Vec<ArtifactView>,
    /// How many are before it, while it is queued and where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u64>,
    /// What the engine reports of a finished edit.
    #[schema(value_type = Option<Object>)]
    pub report: Option<Value>,
    /// Where to go from here.
    pub links: EditLinks,
}

/// Paths of an edit on this server; those of artifacts once they are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EditLinks {
    /// The edit itself.
    #[serde(rename = "self")]
    #[schema(example = "/v1/edits/01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57")]
    pub this: String,
    /// Its events, live.
    pub events: String,
    /// Where to end it.
    pub cancel: String,
    /// The edited picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The region of interest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roi: Option<String>,
    /// The segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<String>,
    /// The attention map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    /// The picture with the region marked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
}

impl EditLinks {
    /// The links of an edit that has these artifacts.
    pub fn new(edit: EditId, artifacts: &[ArtifactView]) -> Self {
        let this = format!("/v1/edits/{edit}");
        let of = |kind: ArtifactKind| {
            artifacts
                .iter()
                .any(|a| a.kind == kind)
                .then(|| format!("{this}/{kind}"))
        };
        Self {
            events: format!("{this}/events"),
            cancel: format!("{this}/cancel"),
            result: of(ArtifactKind::Result),
            roi: of(ArtifactKind::Roi),
            segments: of(ArtifactKind::Segments),
            attention: of(ArtifactKind::Attention),
            overlay: of(ArtifactKind::Overlay),
            this,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn links_lead_only_to_what_is_there() {
        let edit = EditId::new();
        let roi = ArtifactView {
            kind: ArtifactKind::Roi,
            media_type: ArtifactKind::Roi.media_type().to_owned(),
            bytes: 1,
            digest: Digest::of(b"r"),
        };
        let links = serde_json::to_value(EditLinks::new(edit, &[roi])).unwrap();
        assert_eq!(links["self"], format!("/v1/edits/{edit}"));
        assert_eq!(links["roi"], format!("/v1/edits/{edit}/roi"));
        assert_eq!(links.get("result"), None);
    }
}
