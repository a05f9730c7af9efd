//! Webhook deliveries: jobs of their own, so that a dead endpoint blocks nothing.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::{EditId, EditView, TenantId, WebhookId};

use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;

use crate::row::{clean, get, id, int, small};
use crate::{Result, Secret, Store, Write};

/// A delivery that is due, claimed for a while.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The delivery's id, the same in every attempt.
    pub id: WebhookId,
    /// The edit that ended.
    pub edit: EditId,
    /// The tenant whose edit that is.
    pub tenant: TenantId,
    /// The URL it is sent to.
    pub url: String,
    /// The secret it is signed with.
    pub secret: Secret,
    /// The number of this attempt, from 1; it names the claim.
    pub attempt: u32,
    /// `edit.succeeded`, `edit.failed` or `edit.cancelled`.
    pub event: String,
    /// The edit as it is now.
    pub view: EditView,
}

impl Store {
    /// Claims deliveries that are due for `ttl`; after that they are due again.
    pub async fn webhooks_claim(&self, limit: u32, ttl: Duration) -> Result<Vec<Delivery>> {
        let rows = self
            .rows(
                "webhooks_claim",
                sqlx::query(include_str!("sql/webhooks_claim.sql"))
                    .bind(int(limit))
                    .bind(ttl.as_secs_f64()),
            )
            .await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids = Vec::with_capacity(rows.len());
        for row in &rows {
            ids.push(id::<EditId>(row, "edit_id")?.uuid());
        }
        let edits = self
            .rows(
                "webhooks_edits",
                sqlx::query("select * from edits where id = any($1)").bind(ids),
            )
            .await?;
        let views: HashMap<EditId, EditView> = self
            .views(&edits)
            .await?
            .into_iter()
            .map(|view| (view.id, view))
            .collect();
        let mut deliveries = Vec::with_capacity(rows.len());
        for row in &rows {
            let edit = id(row, "edit_id")?;
            // Pruned in between, and the delivery with it.
            let Some(view) = views.get(&edit) else {
                continue;
            };
            deliveries.push(Delivery {
                id: id(row, "id")?,
                edit,
                tenant: id(row, "tenant_id")?,
                url: get(row, "url")?,
                secret: Secret::new(get::<String>(row, "webhook_secret")?),
                attempt: small(row, "attempts")?,
                event: get(row, "event")?,
                view: view.clone(),
            });
        }
        Ok(deliveries)
    }

    /// Records that it was delivered.
    pub async fn webhook_done(&self, id: WebhookId, attempt: u32) -> Result<Write> {
        let statement = sqlx::query(
            "update webhooks set state = 'delivered', finished_at = now(), error = null
            where id = $1 and attempts = $2 and state = 'pending'",
        );
        self.settle(
            "webhook_done",
            statement.bind(id.uuid()).bind(int(attempt)),
            id,
            attempt,
        )
        .await
    }

    /// Records a failed attempt; the delivery is due again after `delay`.
    pub async fn webhook_retry(
        &self,
        id: WebhookId,
        attempt: u32,
        delay: Duration,
        error: &str,
    ) -> Result<Write> {
        let statement = sqlx::query(
            "update webhooks set due_at = now() + make_interval(secs => $3), error = left($4, 1000)
            where id = $1 and attempts = $2 and state = 'pending'",
        );
        let statement = statement
            .bind(id.uuid())
            .bind(int(attempt))
            .bind(delay.as_secs_f64())
            .bind(clean(error));
        self.settle("webhook_retry", statement, id, attempt).await
    }

    /// Records that it failed for good; the row stays visible.
    pub async fn webhook_give_up(&self, id: WebhookId, attempt: u32, error: &str) -> Result<Write> {
        let statement = sqlx::query(
            "update webhooks set state = 'given_up', finished_at = now(), error = left($3, 1000)
            where id = $1 and attempts = $2 and state = 'pending'",
        );
        let statement = statement
            .bind(id.uuid())
            .bind(int(attempt))
            .bind(clean(error));
        self.settle("webhook_give_up", statement, id, attempt).await
    }

    /// `seq` of an applied write is the attempt.
    async fn settle(
        &self,
        name: &'static str,
        statement: Query<'_, Postgres, PgArguments>,
        id: WebhookId,
        attempt: u32,
    ) -> Result<Write> {
        if self.count(name, statement).await? > 0 {
            return Ok(Write::Applied {
                seq: u64::from(attempt),
            });
        }
        let there: bool = self
            .value(
                "webhook_there",
                sqlx::query_scalar("select exists (select from webhooks where id = $1)")
                    .bind(id.uuid()),
            )
            .await?;
        Ok(if there { Write::Stale } else { Write::Missing })
    }

    /// Deliveries that were given up, as (delivery, edit, url, last error), newest first.
    pub async fn webhooks_given_up(
        &self,
        limit: u32,
    ) -> Result<Vec<(WebhookId, EditId, String, String)>> {
        let rows = self
            .rows(
                "webhooks_given_up",
                sqlx::query(
                    "select id, edit_id, url, coalesce(error, '') as error from webhooks
                    where state <> 'pending' and state = 'given_up'
                    order by finished_at desc limit $1",
                )
                .bind(int(limit)),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    id(row, "id")?,
                    id(row, "edit_id")?,
                    get(row, "url")?,
                    get(row, "error")?,
                ))
            })
            .collect()
    }
}
