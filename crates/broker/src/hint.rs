//! The message that names one edit.

use limekiln_jobs::{Class, Digest, EditId, ModelName, TenantId};
use serde::{Deserialize, Serialize};

/// Times a message may come back before it is buried.
pub(crate) const DELIVERY_LIMIT: u32 = 20;
/// Messages one queue holds. The release keeps it far below; this is against runaways.
pub(crate) const QUEUE_LIMIT: u32 = 100_000;
/// Dead letters kept; the oldest go first.
pub(crate) const DEAD_LIMIT: u32 = 10_000;
/// The exchange and the queue of dead letters.
pub(crate) const DEAD: &str = "limekiln.dead";

/// "This edit may be claimed": all that a worker needs to claim it and to fetch its input meanwhile.
///
/// Only `edit` is trusted after the claim; the rest saves a round trip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// The edit to claim.
    pub edit: EditId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The model it asks for; with `class`, its queue.
    pub model: ModelName,
    /// Interactive or bulk.
    pub class: Class,
    /// The picture it starts from, for fetching ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// Which announcement of the edit this is, from 1.
    #[serde(default)]
    pub announcement: u32,
    /// W3C `traceparent`; travels as a header.
    #[serde(skip)]
    pub trace: Option<String>,
}

/// A blob a worker may fetch before it has claimed the edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its key in the bucket.
    pub key: String,
    /// What its content must hash to.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
}

/// The queue of a model's edits of one class. At most 90 characters.
pub(crate) fn queue_name(model: &ModelName, class: Class) -> String {
    format!("limekiln.edits.{model}.{class}")
}
