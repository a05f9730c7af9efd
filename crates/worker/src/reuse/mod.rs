//! What earlier edits of a picture computed: looked up before an edit, kept after it. The memory of this worker comes first, then
//! its disk, then S3; the index in Postgres says what there is. None of them can fail an edit: what is not found in time, or is
//! damaged, is computed again.
//!
//! # Layout
//!
//! - `memory`: the part in memory
//! - `find`: before an edit
//! - `keep`: after it

mod find;
mod keep;
mod memory;

use std::time::Duration;

use limekiln_jobs::{Digest, Reuse};
use limekiln_lime::known::{Key, Keys, Kind};
use limekiln_store::Claimed;

pub(crate) use find::find;
pub(crate) use keep::keep;
pub(crate) use memory::Memory;

/// The longest that an edit waits for what earlier ones computed, and the longest that its end waits until what it computed is kept.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most bytes of one blob: what the decoder makes of a picture of 4,096 pixels a side.
const BLOB_BYTES_MAX: u64 = 128 << 20;

/// What an edit may take over, and what it did.
#[derive(Debug)]
pub(crate) struct Reusing {
    keys: Keys,
    /// Content of the picture that the edit starts from.
    source: Digest,
    /// What it was given.
    used: Vec<Key>,
}

/// The names of what `claimed` may take over; none where it may not. `engine` names weights, device and number type.
pub(crate) fn reusing(
    claimed: &Claimed,
    request: &limekiln_lime::Request,
    engine: &str,
) -> Option<Reusing> {
    let spec = &claimed.spec;
    if spec.reuse == Some(Reuse::None) {
        return None;
    }
    let object = limekiln_lime::words::object(&spec.instruction, spec.color.is_some());
    match Keys::of(request, engine, object.as_deref()) {
        Ok(keys) => Some(Reusing {
            keys,
            source: claimed.patches.last().unwrap_or(&claimed.input).digest,
            used: Vec::new(),
        }),
        Err(error) => {
            tracing::warn!(%error, "nothing is taken over of earlier edits");
            None
        }
    }
}

/// The kinds that `request` would read.
fn wanted(request: &limekiln_lime::Request) -> impl Iterator<Item = Kind> + use<> {
    let decodes = request.beside;
    Kind::KEPT
        .into_iter()
        .filter(move |kind| *kind != Kind::Decoded || decodes)
}
