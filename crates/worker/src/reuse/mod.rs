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
use limekiln_lime::known::{Key, Keys, Kind, Unplaced};
use limekiln_store::Claimed;

use crate::prepared::{Asked, Prepared};

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
    /// None of an edit that asks the engine for nothing.
    keys: Option<Keys>,
    /// The name of what it may recolor, but for the region.
    unplaced: Option<Unplaced>,
    /// The name of its object's matte, once that is known.
    matte: Option<Key>,
    /// Content of the picture that the edit starts from.
    source: Digest,
    /// What it was given.
    used: Vec<Key>,
}

impl Reusing {
    /// The same after an edit that made a matte of this name.
    pub(crate) fn made(mut self, matte: Option<Key>) -> Self {
        self.matte = matte.or(self.matte);
        self
    }

    fn key(&self, kind: Kind) -> Option<Key> {
        match kind {
            Kind::Matte => self.matte,
            _ => self.keys.as_ref()?.get(kind),
        }
    }

    /// Of every region of its object, where its words tell which that is.
    fn object(&self) -> Option<Key> {
        self.keys.as_ref()?.object
    }
}

/// The names of what `claimed` may take over; none where it may not. Reads every pixel of what may be recolored. `engine`
/// names weights, device and number type.
pub(crate) fn reusing(claimed: &Claimed, prepared: &Prepared, engine: &str) -> Option<Reusing> {
    let spec = &claimed.spec;
    if spec.reuse == Some(Reuse::None) {
        return None;
    }
    let object = limekiln_lime::words::object(&spec.instruction, spec.color.is_some());
    let keys = match &prepared.asked {
        Asked::Edit(request) => Keys::of(request, engine, object.as_deref()).map(Some),
        Asked::Nothing(_) => Ok(None),
    };
    match keys {
        Ok(keys) => Some(Reusing {
            keys,
            unplaced: prepared.unplaced(),
            matte: None,
            source: claimed.patches.last().unwrap_or(&claimed.input).digest,
            used: Vec::new(),
        }),
        Err(error) => {
            tracing::warn!(%error, "nothing is taken over of earlier edits");
            None
        }
    }
}

/// The kinds that an edit would read, but for the matte.
fn wanted(asked: &Asked) -> impl Iterator<Item = Kind> + use<> {
    let decodes = matches!(asked, Asked::Edit(request) if request.beside);
    Kind::KEPT
        .into_iter()
        .filter(move |kind| *kind != Kind::Decoded || decodes)
}
