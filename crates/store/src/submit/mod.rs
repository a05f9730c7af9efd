//! Edits come in. The edit's own row is the outbox: nothing else has to be written.

use std::collections::HashSet;

use limekiln_jobs::TenantId;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;
use uuid::Uuid;

use crate::conn::DEADLINE;
use crate::{Earlier, Error, Result, Store, Submission, Submitted};

mod gate;
mod seats;
mod write;

use gate::Gate;
use write::{earlier, insert, look, seats};

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
        let submitted = in_time(submit(conn.get(), submissions, Locking::Wait)).await?;
        conn.done_with("edits_submit");
        Ok(submitted.into_iter().flatten().collect())
    }

    /// The same, but that nobody waits for another tenant's row: `None` is not written, since somebody holds the row of its
    /// tenant, for longer than a moment or, where `hurry` says so, at all.
    ///
    /// # Errors
    /// As [`Store::edits_submit`].
    pub async fn edits_submit_free(
        &self,
        submissions: &[Submission],
        hurry: bool,
    ) -> Result<Vec<Option<Submitted>>> {
        if submissions.is_empty() {
            return Ok(Vec::new());
        }
        for submission in submissions {
            submission.check()?;
        }
        let mut conn = self.conn().await?;
        let submitted = in_time(async {
            if !hurry {
                match submit(conn.get(), submissions, Locking::Moment).await {
                    Err(error) if is_held(&error) => {}
                    submitted => return submitted,
                }
            }
            submit(conn.get(), submissions, Locking::Skip).await
        });
        let submitted = submitted.await?;
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

/// What becomes of a tenant's row that somebody else has locked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Locking {
    /// As long as the session waits for locks.
    Wait,
    /// Waited for a moment, in the order of ids and behind those who came before.
    Moment,
    /// Left alone.
    Skip,
}

impl Locking {
    fn begin(self) -> &'static str {
        match self {
            Self::Wait | Self::Skip => "begin",
            Self::Moment => "begin; set local lock_timeout = '100ms'",
        }
    }

    fn lock(self) -> &'static str {
        match self {
            Self::Wait | Self::Moment => {
                "select id from tenants where id = any($1) order by id for no key update"
            }
            // One that is not there is nobody's.
            Self::Skip => {
                "with free as materialized (
                    select id from tenants where id = any($1) order by id for no key update skip locked
                )
                select a.id from unnest($1) as a (id)
                where a.id in (select id from free)
                    or not exists (select from tenants t where t.id = a.id)"
            }
        }
    }
}

/// Whether somebody else held what it needs.
fn is_held(error: &Error) -> bool {
    let Error::Database(error) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some("55P03")
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(DEADLINE, work).await.unwrap_or(Err(Error::Timeout {
        after_s: DEADLINE.as_secs(),
    }))
}

async fn submit(
    conn: &mut PgConnection,
    submissions: &[Submission],
    locking: Locking,
) -> Result<Vec<Option<Submitted>>> {
    let mut tx = conn.begin_with(locking.begin()).await?;
    let submitted = submit_within(&mut tx, submissions, locking).await;
    match &submitted {
        Ok((_, true)) => tx.commit().await?,
        Ok((_, false)) | Err(_) => tx.rollback().await?,
    }
    Ok(submitted?.0)
}

/// The answers, and whether anything was written.
async fn submit_within(
    tx: &mut PgConnection,
    submissions: &[Submission],
    locking: Locking,
) -> Result<(Vec<Option<Submitted>>, bool)> {
    let mut tenants: Vec<_> = submissions
        .iter()
        .map(|submission| submission.tenant.uuid())
        .collect();
    tenants.sort_unstable();
    tenants.dedup();
    let locked = sqlx::query_scalar(locking.lock())
        .bind(tenants)
        .fetch_all(&mut *tx)
        .await?;
    if locking != Locking::Skip {
        let (submitted, written) = admit(tx, submissions).await?;
        return Ok((submitted.into_iter().map(Some).collect(), written));
    }
    let locked: HashSet<Uuid> = locked.into_iter().collect();
    let is_free = |submission: &&Submission| locked.contains(&submission.tenant.uuid());
    let free: Vec<Submission> = submissions.iter().filter(is_free).cloned().collect();
    let (submitted, written) = admit(tx, &free).await?;
    let mut submitted = submitted.into_iter();
    let answers = submissions
        .iter()
        .map(|submission| is_free(&submission).then(|| submitted.next()).flatten())
        .collect();
    Ok((answers, written))
}

/// Lets in what may come in, under the locks on its tenants.
async fn admit(
    tx: &mut PgConnection,
    submissions: &[Submission],
) -> Result<(Vec<Submitted>, bool)> {
    if submissions.is_empty() {
        return Ok((Vec::new(), false));
    }
    let seats = seats(&mut *tx, submissions).await?;
    let looked = look(&mut *tx, submissions, &seats).await?;
    let mut gate = Gate::new(seats);
    let mut submitted = Vec::with_capacity(submissions.len());
    for (at, (submission, look)) in submissions.iter().zip(&looked).enumerate() {
        submitted.push(gate.admit(at, submission, look));
    }
    if gate.admitted.is_empty() {
        return Ok((submitted, false));
    }
    let created = insert(&mut *tx, submissions, &gate).await?;
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
    Ok((submitted, true))
}
