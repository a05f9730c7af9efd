//! Edits as clients see them.

use limekiln_jobs::{BatchId, EditId, EditView, ModelName, SessionId, StateName, TenantId};

use crate::{Result, Store};

/// Which edits to list. Everything that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state.
    pub state: Option<StateName>,
    /// Of this session.
    pub session: Option<SessionId>,
    /// Of this batch.
    pub batch: Option<BatchId>,
    /// Of this model.
    pub model: Option<ModelName>,
}

/// A page of edits, newest first.
#[derive(Debug, Clone)]
pub struct EditPage {
    /// The edits.
    pub edits: Vec<EditView>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<EditId>,
}

impl Store {
    /// The tenant's edit of this id, with its artifacts; links are left to the gateway.
    pub async fn edit_get(&self, tenant: TenantId, id: EditId) -> Result<Option<EditView>> {
        let _ = (tenant, id);
        todo!()
    }

    /// Up to `limit` (at most 100) of the tenant's edits, older than `after`.
    pub async fn edits_list(
        &self,
        tenant: TenantId,
        filter: &Filter,
        after: Option<EditId>,
        limit: u32,
    ) -> Result<EditPage> {
        let _ = (tenant, filter, after, limit);
        todo!()
    }

    /// How many edits of the same model will be released before this one; `None` unless it is queued and not announced.
    pub async fn edit_queue_position(&self, id: EditId) -> Result<Option<u64>> {
        let _ = id;
        todo!()
    }
}
