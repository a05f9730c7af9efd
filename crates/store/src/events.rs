//! An edit's history.

use limekiln_jobs::{EditEvent, EditId};

use crate::{Result, Store};

impl Store {
    /// Events of an edit with a number above `seq`, in order. Whose edit it is, is for the caller to check.
    pub async fn events_after(&self, edit: EditId, seq: u64, limit: u32) -> Result<Vec<EditEvent>> {
        let _ = (edit, seq, limit);
        todo!()
    }

    /// Numbers of the newest events; edits that do not exist are left out.
    pub async fn events_heads(&self, edits: &[EditId]) -> Result<Vec<(EditId, u64)>> {
        let _ = edits;
        todo!()
    }
}
