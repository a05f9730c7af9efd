//! Disks that were full lately. Only a write finds that out, so the status port tells what writes met.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use limekiln_jobs::api::Check;

/// How long a full disk is spoken of after a write met it.
const AGE_MAX: Duration = Duration::from_secs(60);

/// When a write last found each service's disk full.
#[derive(Default)]
pub(crate) struct Disks(Mutex<BTreeMap<&'static str, Instant>>);

impl Disks {
    /// A write found this service's disk full.
    pub(crate) fn full(&self, service: &'static str) {
        let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        full.insert(service, Instant::now());
    }

    /// A check that failed, while any was full lately.
    pub(crate) fn check(&self) -> Option<Check> {
        let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        full.retain(|_, met| met.elapsed() < AGE_MAX);
        let details: Vec<String> = full
            .iter()
            .map(|(service, met)| {
                let age = met.elapsed().as_secs();
                format!("{service} had no disk space left {age} s ago: give it room")
            })
            .collect();
        (!details.is_empty()).then(|| Check::optional("disk", Some(details.join("; "))))
    }
}
