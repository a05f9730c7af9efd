//! Edits as the API lists and shows them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::artifacts::{ArtifactKind, ArtifactView};
use crate::class::Class;
use crate::finish::{Carry, Finish};
use crate::ids::{EditId, ImageId, SessionId};
use crate::request::Region;
use crate::reuse::Reuse;
use crate::spec::ModelName;
use crate::state::{Failure, StateName};

/// An edit that was accepted, as it was at that moment. A request that is repeated with its idempotency key gets the same
/// answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AcceptedEdit {
    /// Id of the edit.
    pub id: EditId,
    /// `queued`, or `waiting` while its parent has no result.
    pub state: StateName,
    /// Seed of the noise; drawn at random if the request gave none.
    #[schema(example = 7)]
    pub seed: u64,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Paths of the edit on this server.
    pub links: EditLinks,
}

/// Which edits to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EditQuery {
    /// Lists only edits in this state.
    #[serde(default, deserialize_with = "crate::text_enum::asked_opt")]
    #[param(schema_with = StateName::known_schema)]
    pub state: Option<StateName>,
    /// Lists only edits of this session.
    #[param(value_type = Option<SessionId>)]
    pub session: Option<String>,
    /// Lists only edits that name this model.
    pub model: Option<ModelName>,
    /// Number of edits on a page. 20 by default.
    #[param(minimum = 1, maximum = 100, example = 20)]
    pub limit: Option<u32>,
    /// Where the page starts: `next` of the page before. By default at the newest.
    #[param(value_type = Option<EditId>)]
    pub cursor: Option<String>,
}

/// A page of edits, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EditPage {
    /// The edits.
    pub edits: Vec<EditView>,
    /// `cursor` of the next page; null on the last.
    pub next: Option<EditId>,
}

/// An edit: what was asked for, how far it is, what it left behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EditView {
    /// Id of the edit.
    pub id: EditId,
    /// State of the edit.
    pub state: StateName,
    /// Model that it runs on.
    #[schema(example = "rooms")]
    pub model: String,
    /// Whether somebody waits for it.
    pub class: Class,
    /// What to change, in words.
    #[schema(example = "make the sofa red")]
    pub instruction: String,
    /// Preset that it started from.
    #[schema(example = "fast")]
    pub preset: String,
    /// Seed of the noise; drawn at random if the request gave none.
    #[schema(example = 7)]
    pub seed: u64,
    /// Whether EXIF, XMP, comments and resolution were left out of its result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strip_metadata: bool,
    /// Fields of the preset that were replaced, nested as they are in the preset.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub options: Map<String, Value>,
    /// Longer side at which the model works, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Image that says where to edit; of an edit with `region` the one that was drawn of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<ImageId>,
    /// Where to edit, as the request named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Region>)]
    pub region: Option<Value>,
    /// Whether the mask only says roughly where.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub matte: bool,
    /// How the model's picture becomes the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Finish>,
    /// Which way the finish `detail` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry: Option<Carry>,
    /// The color that the object ends at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Which materials of the object get the color.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub material: Option<String>,
    /// How much it takes over of what earlier edits computed; `exact` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<Reuse>,
    /// Image that it edits; null where that is the result of `parent`.
    pub image: Option<ImageId>,
    /// Edit whose result it edits further.
    pub parent: Option<EditId>,
    /// Session that it belongs to.
    pub session: Option<SessionId>,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When a worker first started it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
    /// How often it has failed, or lost its worker, without progress.
    pub attempts: u16,
    /// Stage that it is in, such as `locate` or `apply`.
    #[schema(example = "apply")]
    pub stage: Option<String>,
    /// Number of steps done, counted through all stages.
    #[schema(example = 12)]
    pub step: Option<u32>,
    /// Number of steps of all stages together.
    #[schema(example = 30)]
    pub steps: Option<u32>,
    /// Number of its newest event.
    #[schema(example = 9)]
    pub seq: u64,
    /// Why it failed, or why it is tried again.
    pub error: Option<Failure>,
    /// Files that it left behind.
    pub artifacts: Vec<ArtifactView>,
    /// Number of edits before it in its queue. Only in the answer about a single edit, while it is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u64>,
    /// What the engine reports of an edit that succeeded.
    #[schema(value_type = Option<Object>)]
    pub report: Option<Value>,
    /// Paths of the edit on this server.
    pub links: EditLinks,
}

/// Paths of an edit on this server. Those of files are there once the files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EditLinks {
    /// The edit itself.
    #[serde(rename = "self")]
    #[schema(example = "/v1/edits/01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57")]
    pub this: String,
    /// The stream of its events.
    pub events: String,
    /// Where a `POST` cancels it.
    pub cancel: String,
    /// The edited picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The region of interest: what may change is white.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roi: Option<String>,
    /// The segments, one color each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<String>,
    /// The attention map of the words that name what is edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    /// The picture with the region marked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// Which pixels of the result are the input's own: 0 in an 8-bit gray picture. Edits that are laid over their input have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matte: Option<String>,
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
            // A turn's result is made of what it changed.
            result: of(ArtifactKind::Result)
                .or_else(|| of(ArtifactKind::Patch).map(|_| format!("{this}/result"))),
            roi: of(ArtifactKind::Roi),
            segments: of(ArtifactKind::Segments),
            attention: of(ArtifactKind::Attention),
            // Painted when it is asked for, unless it is kept.
            overlay: of(ArtifactKind::Overlay)
                .or_else(|| of(ArtifactKind::Roi).map(|_| format!("{this}/overlay"))),
            matte: of(ArtifactKind::Matte),
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
        assert_eq!(links["overlay"], format!("/v1/edits/{edit}/overlay"));
        assert_eq!(links.get("result"), None);
    }
}
