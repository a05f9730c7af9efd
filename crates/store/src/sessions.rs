//! Sessions: chains of edits that keep their images while they live.

use limekiln_jobs::{SessionId, TenantId};
use time::OffsetDateTime;

use crate::{Result, Store};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When an edit last came in; what makes it live.
    pub used_at: OffsetDateTime,
}

impl Store {
    /// Creates a session; the same id again is the same session.
    ///
    /// # Errors
    /// [`crate::Error::NoTenant`].
    pub async fn session_create(&self, tenant: TenantId, id: SessionId) -> Result<Session> {
        let _ = (tenant, id);
        todo!()
    }

    /// The tenant's session of this id.
    pub async fn session_get(&self, tenant: TenantId, id: SessionId) -> Result<Option<Session>> {
        let _ = (tenant, id);
        todo!()
    }
}
