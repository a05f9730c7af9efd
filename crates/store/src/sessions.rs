//! Sessions: chains of edits that keep their images while they live.

use limekiln_jobs::{SessionId, TenantId};
use time::OffsetDateTime;

use sqlx::postgres::PgRow;

use crate::row::{get, id};
use crate::{Error, Result, Store};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The session's id.
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
        self.count(
            "session_create",
            sqlx::query(
                "insert into sessions (id, tenant_id)
                select $1, t.id from tenants t where t.id = $2
                on conflict (id) do nothing",
            )
            .bind(id.uuid())
            .bind(tenant.uuid()),
        )
        .await?;
        self.session_get(tenant, id).await?.ok_or(Error::NoTenant)
    }

    /// The tenant's session of this id.
    pub async fn session_get(&self, tenant: TenantId, id: SessionId) -> Result<Option<Session>> {
        let row = self
            .row(
                "session_get",
                sqlx::query("select * from sessions where id = $1 and tenant_id = $2")
                    .bind(id.uuid())
                    .bind(tenant.uuid()),
            )
            .await?;
        row.as_ref().map(session).transpose()
    }
}

fn session(row: &PgRow) -> Result<Session> {
    Ok(Session {
        id: id(row, "id")?,
        created_at: get(row, "created_at")?,
        used_at: get(row, "used_at")?,
    })
}
