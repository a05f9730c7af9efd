//! Edits come in. The edit's own row is the outbox: nothing else has to be written.

use limekiln_jobs::TenantId;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use crate::conn::DEADLINE;
use crate::{Earlier, Error, Result, Store, Submission, Submitted};

mod gate;
mod write;

use gate::Gate;
use write::{earlier, insert, look};

impl Store {
    /// Writes edits in one transaction; answers are in the order of `submissions`.
    ///
    /// Limits hold exactly across gateways: the tenant's row is locked, its counter and its token bucket are in it.
    /// Within one call, submissions of a tenant are let in in order. A call whose answer was lost may be repeated as it
    /// was: an edit that is there already is `Created`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an idempotency key or a webhook URL that no row holds: nothing of the call was written.
    pub async fn edits_submit(&self, submissions: &[Submission]) -> Result<Vec<Submitted>> {
        if submissions.is_empty() {
            return Ok(Vec::new());
        }
        for submission in submissions {
            submission.check()?;
        }
        let mut conn = self.conn().await?;
        let submitted = match timeout(DEADLINE, submit(conn.get(), submissions)).await {
            Ok(submitted) => submitted?,
            Err(_) => {
                return Err(Error::Timeout {
                    after_s: DEADLINE.as_secs(),
                });
            }
        };
        conn.done_with("edits_submit");
        Ok(submitted)
    }

    /// The edits that the tenant made with these idempotency keys, in their order.
    pub async fn edits_before(
        &self,
        tenant: TenantId,
        keys: &[String],
    ) -> Result<Vec<Option<Earlier>>> {
        let statement = sqlx::query(include_str!("../sql/edits_before.sql"))
            .bind(tenant.uuid())
            .bind(keys);
        let rows = self.rows("edits_before", statement).await?;
        rows.iter().map(earlier).collect()
    }
}

async fn submit(conn: &mut PgConnection, submissions: &[Submission]) -> Result<Vec<Submitted>> {
    let mut tx = conn.begin().await?;
    let mut tenants: Vec<_> = submissions
        .iter()
        .map(|submission| submission.tenant.uuid())
        .collect();
    tenants.sort_unstable();
    tenants.dedup();
    sqlx::query("select id from tenants where id = any($1) order by id for no key update")
        .bind(tenants)
        .execute(&mut *tx)
        .await?;
    let looked = look(&mut tx, submissions).await?;
    let mut gate = Gate::default();
    let mut submitted = Vec::with_capacity(submissions.len());
    for (at, (submission, look)) in submissions.iter().zip(&looked).enumerate() {
        submitted.push(gate.admit(at, submission, look));
    }
    if gate.admitted.is_empty() {
        tx.rollback().await?;
        return Ok(submitted);
    }
    let created = insert(&mut tx, submissions, &gate).await?;
    tx.commit().await?;
    for (submission, submitted) in submissions.iter().zip(&mut submitted) {
        match submitted {
            Submitted::Created { created_at, .. } => {
                if let Some(&at) = created.get(&submission.id) {
                    *created_at = at;
                }
            }
            Submitted::Replayed { id, created_at, .. } => {
                if let Some(&at) = created.get(id) {
                    *created_at = at;
                }
            }
            _ => {}
        }
    }
    Ok(submitted)
}
