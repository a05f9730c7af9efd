//! Presets with their replaced fields, made ready once for many edits: rows of a catalog have all but their words in common.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use limekiln_jobs::api::Invalid;
use limekiln_jobs::{Needs, Spec};
use limekiln_lime::Preset;
use lru::LruCache;
use serde_json::{Map, Value};

use super::packed;

/// Presets that are kept ready.
const KEPT: usize = 64;
/// The most bytes of replaced fields with which one is kept.
const OPTIONS_BYTES_MAX: usize = 4096;

/// What follows from a preset and its replaced fields alone.
pub(super) struct Ready {
    pub(super) preset: Preset,
    /// The same for the edit's row.
    pub(super) packed: Map<String, Value>,
    /// What it needs of a worker.
    pub(super) needs: Needs,
}

/// All that determines one: the preset's name, its replaced fields, and whether all that is asked for is segments.
type Name = (String, String, bool);

static READY: LazyLock<Mutex<LruCache<Name, Arc<Ready>>>> =
    LazyLock::new(|| Mutex::new(LruCache::unbounded()));

/// The one of `spec`, made by `make` where it is not ready.
///
/// # Errors
///
/// Those of `make`.
pub(super) fn ready(
    spec: &Spec,
    make: impl FnOnce() -> Result<Preset, Invalid>,
) -> Result<Arc<Ready>, Invalid> {
    let wrong = |error: serde_json::Error| Invalid::new("options", error.to_string());
    let options = serde_json::to_string(&spec.options).map_err(wrong)?;
    let keeps = options.len() <= OPTIONS_BYTES_MAX;
    let name = (spec.preset.clone(), options, spec.segments);
    let kept = || READY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(ready) = kept().get(&name) {
        return Ok(ready.clone());
    }
    let preset = make()?;
    let fields = packed::fields(&preset).map_err(wrong)?;
    let ready = Arc::new(Ready {
        packed: packed::pack(&spec.preset, &fields),
        needs: packed::needs(&fields),
        preset,
    });
    if keeps {
        let mut kept = kept();
        kept.put(name, ready.clone());
        if kept.len() > KEPT {
            kept.pop_lru();
        }
    }
    Ok(ready)
}
