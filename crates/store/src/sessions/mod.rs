//! Sessions: trees of edits. `read` shows them, `head` moves their heads, `branches` names turns, `delete` takes all of one away.
//!
//! Posting is in `submit`. What follows from posting, and from turns that end, is done by triggers (`migrations/0022_sessions.sql`).

mod branches;
mod delete;
mod head;
mod locked;
mod read;

use limekiln_jobs::api::{SessionLinks, SessionView};
use limekiln_jobs::session::SESSIONS_MAX;
use limekiln_jobs::{ImageId, SessionId, TenantId};
use sqlx::postgres::PgRow;

use crate::row::{clean, get, id, id_opt, int, small, whole};
use crate::{Error, Result, Store};

pub use branches::Branched;
pub use head::{HeadTo, HeadWrite};

/// A session to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its id, made by the caller.
    pub id: SessionId,
    /// What it is called.
    pub title: String,
    /// The picture that it starts from.
    pub image: Option<ImageId>,
}

impl From<SessionId> for NewSession {
    fn from(id: SessionId) -> Self {
        Self {
            id,
            title: String::new(),
            image: None,
        }
    }
}

/// What became of a new session.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionCreated {
    /// It is there.
    Created(Box<SessionView>),
    /// No such image of this tenant.
    NoImage,
    /// The tenant has as many as it may, or a few more.
    TooMany,
}

impl Store {
    /// Creates a session; the same id again is the same session.
    ///
    /// # Errors
    /// [`crate::Error::NoTenant`].
    pub async fn session_create(
        &self,
        tenant: TenantId,
        session: impl Into<NewSession>,
    ) -> Result<SessionCreated> {
        let session = session.into();
        let row = self
            .row(
                "session_create",
                sqlx::query(include_str!("../sql/session_create.sql"))
                    .bind(session.id.uuid())
                    .bind(tenant.uuid())
                    .bind(clean(&session.title))
                    .bind(session.image.map(ImageId::uuid))
                    .bind(int(SESSIONS_MAX)),
            )
            .await?;
        let Some(row) = row else {
            return Err(Error::NoTenant);
        };
        if let Some(view) = self.session_get(tenant, session.id).await? {
            return Ok(SessionCreated::Created(view.into()));
        }
        // An id that is another tenant's is as good as none.
        Ok(match (get(&row, "image_found")?, get(&row, "full")?) {
            (false, _) => SessionCreated::NoImage,
            (true, true) => SessionCreated::TooMany,
            (true, false) => return Err(Error::NoTenant),
        })
    }

    /// Gives a session another title; `None` when the tenant has no such session.
    pub async fn session_rename(
        &self,
        tenant: TenantId,
        id: SessionId,
        title: &str,
    ) -> Result<Option<SessionView>> {
        let rename = "update sessions set title = $3 where id = $1 and tenant_id = $2 returning *";
        let row = self
            .row(
                "session_rename",
                sqlx::query(rename)
                    .bind(id.uuid())
                    .bind(tenant.uuid())
                    .bind(clean(title)),
            )
            .await?;
        row.as_ref().map(view).transpose()
    }
}

fn view(row: &PgRow) -> Result<SessionView> {
    let id: SessionId = id(row, "id")?;
    Ok(SessionView {
        id,
        title: get(row, "title")?,
        image: id_opt(row, "image_id")?,
        head: id_opt(row, "head")?,
        version: whole(row, "version")?,
        turns: small(row, "turns")?,
        created_at: get(row, "created_at")?,
        used_at: get(row, "used_at")?,
        links: SessionLinks::new(id),
    })
}
