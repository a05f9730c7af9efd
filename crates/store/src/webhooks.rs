//! Webhook deliveries: jobs of their own, in a line for each endpoint, so that a dead one blocks nothing.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::api::CatalogView;
use limekiln_jobs::{BatchId, EditId, EditLinks, EditView, TenantId, WebhookId};
use serde_json::Value;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::row::{bad, clean, get, id, id_opt, int, json, small};
use crate::{Result, Secret, Store, Write};

/// A server as one tenant uses it. Not shared between tenants: one whose deliveries to it fail must not hold up another's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebhookEndpoint {
    /// Whose deliveries go there.
    pub tenant: TenantId,
    /// Scheme, host and port.
    pub origin: String,
}

/// What a delivery tells of.
#[derive(Debug, Clone)]
pub enum Told {
    /// An edit, as it was when it ended.
    Edit(Box<EditView>),
    /// A catalog, as it is now.
    Catalog(Box<CatalogView>),
}

impl Told {
    /// Id of what it tells of.
    pub fn id(&self) -> String {
        match self {
            Self::Edit(edit) => edit.id.to_string(),
            Self::Catalog(catalog) => catalog.id.to_string(),
        }
    }
}

/// A delivery that is due, claimed for a while.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The delivery's id, the same in every attempt.
    pub id: WebhookId,
    /// The endpoint whose line it stands in.
    pub endpoint: WebhookEndpoint,
    /// The URL it is sent to.
    pub url: String,
    /// The secrets it is signed with, the newest first: two while one is replaced.
    pub secrets: Vec<Secret>,
    /// The number of the attempt that is due, from 1.
    pub attempt: u32,
    /// How long ago it ended.
    pub age: Duration,
    /// `edit.succeeded`, `edit.failed` or `edit.cancelled`; of a catalog `catalog.ended` or `catalog.cancelled`.
    pub event: String,
    /// What ended.
    pub told: Told,
    /// The end of the claim, which names it.
    until: OffsetDateTime,
}

impl Store {
    /// Endpoints with pending deliveries that come after this one in an order that stays, each with the number of
    /// deliveries that are due, `count_most` at most. Fewer endpoints than `limit`: there are no more.
    pub async fn webhooks_due(
        &self,
        after: Option<&WebhookEndpoint>,
        limit: u32,
        count_most: u32,
    ) -> Result<Vec<(WebhookEndpoint, u32)>> {
        let rows = self
            .rows(
                "webhooks_due",
                sqlx::query(include_str!("sql/webhooks_due.sql"))
                    .bind(after.map_or(Uuid::nil(), |after| after.tenant.uuid()))
                    .bind(after.map_or("", |after| after.origin.as_str()))
                    .bind(int(limit))
                    .bind(int(count_most)),
            )
            .await?;
        rows.iter()
            .map(|row| Ok((endpoint(row)?, small(row, "due")?)))
            .collect()
    }

    /// Claims deliveries that are due for `ttl`, of each endpoint as many as there is room for; after that they are due
    /// again. Only what is written of an outcome counts as an attempt.
    pub async fn webhooks_claim(
        &self,
        rooms: &[(WebhookEndpoint, u32)],
        ttl: Duration,
    ) -> Result<Vec<Delivery>> {
        let (mut tenants, mut origins, mut most) = (Vec::new(), Vec::new(), Vec::new());
        for (endpoint, room) in rooms {
            tenants.push(endpoint.tenant.uuid());
            origins.push(endpoint.origin.as_str());
            most.push(int(*room));
        }
        let rows = self
            .rows(
                "webhooks_claim",
                sqlx::query(include_str!("sql/webhooks_claim.sql"))
                    .bind(tenants)
                    .bind(origins)
                    .bind(most)
                    .bind(ttl.as_secs_f64()),
            )
            .await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let (mut ids, mut catalogs) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in &rows {
            ids.extend(id_opt::<EditId>(row, "edit_id")?.map(EditId::uuid));
            catalogs.extend(id_opt::<BatchId>(row, "catalog_id")?);
        }
        let catalogs = self.catalogs_of(&catalogs).await?;
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
            let edit = id_opt::<EditId>(row, "edit_id")?.and_then(|edit| views.get(&edit));
            let catalog = id_opt::<BatchId>(row, "catalog_id")?;
            let told = match (edit, catalog.and_then(|id| catalogs.get(&id))) {
                (Some(view), _) => Told::Edit(ended(row, view.clone())?.into()),
                (None, Some(view)) => Told::Catalog(view.clone().into()),
                // Pruned in between, and the delivery with it.
                (None, None) => continue,
            };
            deliveries.push(delivery(row, told)?);
        }
        Ok(deliveries)
    }

    /// Records that it was delivered.
    pub async fn webhook_done(&self, delivery: &Delivery) -> Result<Write> {
        let statement = sqlx::query(
            "update webhooks
            set state = 'delivered', attempts = attempts + 1, finished_at = now(), error = null
            where id = $1 and due_at = $2 and state = 'pending'",
        );
        self.settle("webhook_done", delivery, statement, |statement| statement)
            .await
    }

    /// Records a failed attempt; the delivery is due again after `delay`.
    pub async fn webhook_retry(
        &self,
        delivery: &Delivery,
        delay: Duration,
        error: &str,
    ) -> Result<Write> {
        let statement = sqlx::query(
            "update webhooks
            set attempts = attempts + 1, due_at = now() + make_interval(secs => $3), error = left($4, 1000)
            where id = $1 and due_at = $2 and state = 'pending'",
        );
        self.settle("webhook_retry", delivery, statement, |statement| {
            statement.bind(delay.as_secs_f64()).bind(clean(error))
        })
        .await
    }

    /// Records that it failed for good; the row stays visible. `sent`: in an attempt, and not because it can't be sent.
    pub async fn webhook_give_up(
        &self,
        delivery: &Delivery,
        sent: bool,
        error: &str,
    ) -> Result<Write> {
        let statement = sqlx::query(
            "update webhooks
            set state = 'given_up', attempts = attempts + $3, finished_at = now(), error = left($4, 1000)
            where id = $1 and due_at = $2 and state = 'pending'",
        );
        self.settle("webhook_give_up", delivery, statement, |statement| {
            statement.bind(i32::from(sent)).bind(clean(error))
        })
        .await
    }

    /// `seq` of an applied write is the attempt.
    async fn settle<'q>(
        &self,
        name: &'static str,
        delivery: &Delivery,
        statement: Query<'q, Postgres, PgArguments>,
        bind: impl FnOnce(Query<'q, Postgres, PgArguments>) -> Query<'q, Postgres, PgArguments>,
    ) -> Result<Write> {
        let claim = statement.bind(delivery.id.uuid()).bind(delivery.until);
        if self.count(name, bind(claim)).await? > 0 {
            return Ok(Write::Applied {
                seq: u64::from(delivery.attempt),
            });
        }
        let there: bool = self
            .value(
                "webhook_there",
                sqlx::query_scalar("select exists (select from webhooks where id = $1)")
                    .bind(delivery.id.uuid()),
            )
            .await?;
        Ok(if there { Write::Stale } else { Write::Missing })
    }

    /// How long, in seconds, the delivery that is due for longest has been due; 0 when none is.
    pub async fn webhooks_overdue_s(&self) -> Result<f64> {
        self.value(
            "webhooks_overdue",
            sqlx::query_scalar(
                "select coalesce(
                    (
                        select extract(epoch from now() - w.due_at)::double precision
                        from webhooks w
                        where w.state = 'pending' and w.due_at <= now()
                        order by w.due_at
                        limit 1
                    ),
                    0
                )",
            ),
        )
        .await
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
                    where state <> 'pending' and state = 'given_up' and edit_id is not null
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

fn endpoint(row: &PgRow) -> Result<WebhookEndpoint> {
    Ok(WebhookEndpoint {
        tenant: id(row, "tenant_id")?,
        origin: get(row, "origin")?,
    })
}

/// The edit as it was when it ended. A retry by hand may have changed it since, and only one that has no results.
fn ended(row: &PgRow, mut view: EditView) -> Result<EditView> {
    let Some(Value::Object(fields)) = get(row, "ended")? else {
        return Ok(view);
    };
    view.links = EditLinks::new(view.id, &[]);
    view.artifacts = Vec::new();
    view.report = None;
    let unreadable = |error| bad("ended", error);
    let mut view = serde_json::to_value(view).map_err(unreadable)?;
    for (name, value) in fields {
        view[name] = value;
    }
    json(view, "ended")
}

fn delivery(row: &PgRow, told: Told) -> Result<Delivery> {
    let former: Option<String> = get(row, "webhook_secret_former")?;
    let secrets: [Option<String>; 2] = [Some(get(row, "webhook_secret")?), former];
    let age_s: f64 = get(row, "age_s")?;
    Ok(Delivery {
        id: id(row, "id")?,
        endpoint: endpoint(row)?,
        url: get(row, "url")?,
        secrets: secrets.into_iter().flatten().map(Secret::new).collect(),
        attempt: small::<u32>(row, "attempts")?.saturating_add(1),
        age: Duration::try_from_secs_f64(age_s).unwrap_or_default(),
        event: get(row, "event")?,
        told,
        until: get(row, "due_at")?,
    })
}
