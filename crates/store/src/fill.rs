//! Finished edits for benchmarks.

use crate::{Result, Store};

impl Store {
    /// Inserts `count` succeeded edits with their events and artifacts, spread over `tenants` tenants of their own
    /// (named `filled-...`), as if they had been run over the last month. For `limekiln bench queue` and tests.
    pub async fn edits_fill(&self, tenants: u32, count: u64) -> Result<()> {
        let _ = (tenants, count);
        todo!()
    }
}
