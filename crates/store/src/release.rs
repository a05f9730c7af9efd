//! Which queued edits are announced next.

use limekiln_jobs::{Class, EditId, ModelName, TenantId};

use crate::{BlobRef, Result, Store};

/// An edit that is to be announced to the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The edit.
    pub edit: EditId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The model it needs.
    pub model: ModelName,
    /// Its class.
    pub class: Class,
    /// What it starts from.
    pub input: BlobRef,
    /// `traceparent` of the request.
    pub trace: Option<String>,
    /// How often it was announced since it was queued, from 1.
    pub announcement: u32,
}

impl Store {
    /// Marks up to `limit` queued edits as announced and returns them, in fair order.
    ///
    /// Per model as many are announced and unclaimed at a time as twice the slots of its living workers, and never
    /// less than `min_window`. Several coordinators may call this at once; together they never exceed the window.
    pub async fn edits_release(
        &self,
        model: Option<&ModelName>,
        min_window: u32,
        limit: u32,
    ) -> Result<Vec<Announcement>> {
        let _ = (model, min_window, limit);
        todo!()
    }

    /// Takes announcements back whose publish failed; returns how many were still unclaimed.
    pub async fn edits_unannounce(&self, edits: &[EditId]) -> Result<u64> {
        let _ = edits;
        todo!()
    }

    /// Edits that were announced and not claimed for a while: 10 s at first, doubling up to 2 min.
    pub async fn edits_announce_again(&self, limit: u32) -> Result<Vec<Announcement>> {
        let _ = limit;
        todo!()
    }
}
