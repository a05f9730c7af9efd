//! The body of `POST /v1/edits`.

use crate::ids::{EditId, ImageId, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;

mod check;

pub use check::{INSTRUCTION_CHARS_MAX, SEED_MAX};

/// How urgent an edit is. `interactive` goes before `bulk`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody waits for it.
    #[default]
    Interactive,
    /// Nobody does.
    Bulk,
}

/// The text names no class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a class is one of interactive, bulk")]
pub struct UnknownClass;

impl Class {
    /// Every class, the most urgent first.
    pub const ALL: [Self; 2] = [Self::Interactive, Self::Bulk];

    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Bulk => "bulk",
        }
    }
}

crate::spelled::spelled!(Class, UnknownClass);

/// What to edit and how. Exactly one of `image` and `parent` says what is changed.
///
/// ```
/// # use limekiln_jobs::EditRequest;
/// let request: EditRequest = serde_json::from_str(
///     r#"{"image": "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57", "instruction": "make the sofa red"}"#,
/// ).unwrap();
/// assert!(request.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"image": "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57", "instruction": "make the sofa red"}))]
pub struct EditRequest {
    /// The picture to change.
    #[serde(default)]
    pub image: Option<ImageId>,
    /// The edit whose result to change: the turn this one builds on. It may still be under way.
    #[serde(default)]
    pub parent: Option<EditId>,
    /// The session this turn belongs to; the parent's without it, or a new one.
    #[serde(default)]
    pub session: Option<SessionId>,
    /// What to do, in words.
    #[schema(min_length = 1, max_length = 1000, example = "make the sofa red")]
    pub instruction: String,
    /// The preset to start from; the server's default without it.
    #[serde(default)]
    #[schema(example = "fast", pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    pub preset: Option<String>,
    /// Fields of the preset to replace, nested as the preset is.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// Seed of the noise; drawn without it. At most 2^53 - 1, so that it survives JSON.
    #[serde(default)]
    #[schema(maximum = 9_007_199_254_740_991_i64, minimum = 0, example = 7)]
    pub seed: Option<u64>,
    /// A picture that says where: white may change, black stays. Found by the method without it.
    #[serde(default)]
    pub mask: Option<ImageId>,
    /// Longer side to work at, in pixels.
    #[serde(default)]
    #[schema(minimum = 64, maximum = 2048, example = 512)]
    pub size: Option<u32>,
    /// Whether pixels outside the region stay exactly the input's.
    #[serde(default)]
    pub keep_outside: bool,
    /// The model to run; the server's default without it.
    #[serde(default)]
    #[schema(example = "rooms", pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub model: Option<String>,
    /// How urgent it is.
    #[serde(default)]
    pub class: Class,
    /// Where to post the outcome, http or https.
    #[serde(default)]
    #[schema(max_length = 2048, example = "https://example.com/hooks/limekiln")]
    pub webhook: Option<Url>,
    /// Deaths and failures without progress after which it fails; 3 without it.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10, example = 3)]
    pub max_attempts: Option<u16>,
}

/// A field that cannot be as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// Which, as in the body.
    #[schema(example = "instruction")]
    pub field: String,
    /// What it should be.
    #[schema(example = "must have 1 to 1000 characters")]
    pub message: String,
}
