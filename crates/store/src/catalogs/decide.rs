//! Rows that ended change once more: failed ones are tried again, those in review are decided on.

use limekiln_jobs::api::{Decision, DecisionKind};
use limekiln_jobs::catalog::RowState;
use limekiln_jobs::{BatchId, TenantId};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::rows::{NewBase, NewRow, bases_add};
use crate::arrays::column;
use crate::conn::deadline;
use crate::row::{bad, big, clean_json, get, int, whole};
use crate::{Result, Store};

impl Store {
    /// Lets up to `limit` failed rows wait for their turn again; how many did. `None` when the tenant has no such catalog, or it was
    /// cancelled.
    pub async fn catalog_retry_failed(
        &self,
        tenant: TenantId,
        catalog: BatchId,
        limit: u32,
    ) -> Result<Option<u64>> {
        let sql = "with held as materialized (
                select c.id from catalogs c
                where c.id = $1 and c.tenant_id = $2 and c.cancelled_at is null for no key update
            ),
            failed as materialized (
                select r.number from held h
                cross join lateral (
                    select r.number from catalog_rows r
                    where r.catalog_id = h.id and r.state = 'failed'
                    order by r.catalog_id, r.state, r.number limit $3
                ) r
            ),
            again as (
                update catalog_rows r
                set state = case
                        when r.picture_id is not null and not exists (
                            select from images i where i.id = r.image_id and i.tenant_id = $2
                        ) then 'fetching'
                        else 'waiting'
                    end,
                    edit_id = null, step = 0, error = null, reasons = '', measures = null, decision = null, ended_at = null
                from failed f
                where r.catalog_id = $1 and r.number = f.number
                returning r.number, r.picture_id, r.state
            ),
            fetched as (
                update catalog_pictures p
                set state = 'waiting', tries = 0, due_at = now(), error = null, image_id = null
                from (select distinct a.picture_id from again a where a.state = 'fetching') a
                where p.catalog_id = $1 and p.id = a.picture_id and p.state <> 'waiting'
            ),
            counted as (
                update catalogs c
                set failed = c.failed - n.rows, waiting = c.waiting + n.rows, version = c.version + 1,
                    ended_at = case when n.rows > 0 then null else c.ended_at end
                from (select count(*) as rows from again) n
                where c.id = $1 and exists (select from held)
            )
            select count(*) as rows, exists (select from held) as found from again";
        let statement = sqlx::query(sql)
            .bind(catalog.uuid())
            .bind(tenant.uuid())
            .bind(int(limit));
        let row = self.row("catalog_retry_failed", statement).await?;
        let Some(row) = row else { return Ok(None) };
        let rows = whole(&row, "rows")?;
        Ok(get::<bool>(&row, "found")?.then_some(rows))
    }

    /// Decides on rows that ended; how many it changed. A row that is redone waits again, with what `again` says of it. `None` when
    /// the tenant has no such catalog.
    pub async fn catalog_decide(
        &self,
        tenant: TenantId,
        catalog: BatchId,
        decision: &Decision,
        numbers: &[u64],
        again: &(Vec<NewBase>, Vec<NewRow>),
    ) -> Result<Option<u64>> {
        let mut conn = self.conn().await?;
        let decided = deadline(async {
            let mut tx = conn.get().begin().await?;
            let decided = decide(&mut tx, tenant, catalog, decision, numbers, again).await;
            match &decided {
                Ok(Some(_)) => tx.commit().await?,
                _ => tx.rollback().await?,
            }
            Ok(decided)
        });
        let decided = decided.await?;
        conn.done_with("catalog_decide");
        decided
    }
}

async fn decide(
    tx: &mut PgConnection,
    tenant: TenantId,
    catalog: BatchId,
    decision: &Decision,
    numbers: &[u64],
    again: &(Vec<NewBase>, Vec<NewRow>),
) -> Result<Option<u64>> {
    let held = sqlx::query(
        "select cancelled_at is not null as cancelled from catalogs
        where id = $1 and tenant_id = $2 for no key update",
    )
    .bind(catalog.uuid())
    .bind(tenant.uuid())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(held) = held else {
        return Ok(None);
    };
    // What is cancelled starts nothing any more.
    if decision.verdict == DecisionKind::Redo && get(&held, "cancelled")? {
        return Ok(Some(0));
    }
    let before = sqlx::query(
        "select r.number, r.state from catalog_rows r
        where r.catalog_id = $1 and r.number = any ($2) and r.state = any ($3)
        order by r.number for no key update",
    )
    .bind(catalog.uuid())
    .bind(column(numbers, |number| big(*number)))
    .bind(decision.verdict.from().to_vec())
    .fetch_all(&mut *tx)
    .await?;
    let (mut changed, mut counts) = (Vec::new(), [0_i64; 4]);
    for row in &before {
        changed.push(get::<i64>(row, "number")?);
        let state: &str = get(row, "state")?;
        let place = COUNTED.iter().position(|counted| counted.as_str() == state);
        if let Some(place) = place {
            counts[place] -= 1;
        }
    }
    let to = match decision.verdict {
        DecisionKind::Accept => RowState::Passed,
        DecisionKind::Reject => RowState::Rejected,
        DecisionKind::Redo => RowState::Waiting,
    };
    if let Some(place) = COUNTED.iter().position(|counted| *counted == to) {
        counts[place] += changed.len() as i64;
    }
    let waits = to == RowState::Waiting;
    sqlx::query(
        "update catalog_rows r
        set state = $3, decision = $4, ended_at = case when $5 then null else r.ended_at end,
            edit_id = case when $5 then null else r.edit_id end
        where r.catalog_id = $1 and r.number = any ($2)",
    )
    .bind(catalog.uuid())
    .bind(&changed)
    .bind(to.as_str())
    .bind(serde_json::to_value(decision).map_err(|error| bad("decision", error))?)
    .bind(waits)
    .execute(&mut *tx)
    .await?;
    let (bases, rows) = again;
    if waits {
        bases_add(tx, catalog, bases).await?;
        let object = |map: &serde_json::Map<_, _>| clean_json(map.clone().into());
        sqlx::query(
            "update catalog_rows r
            set base_id = a.base_id, mask_id = a.mask_id, fields = a.fields, sent = a.sent, object_id = a.object_id, steps = a.steps, step = 0
            from unnest($2::bigint[], $3::uuid[], $4::uuid[], $5::jsonb[], $6::jsonb[], $8::uuid[], $9::jsonb[])
                as a (number, base_id, mask_id, fields, sent, object_id, steps)
            where r.catalog_id = $1 and r.number = a.number and r.state = 'waiting' and a.number = any ($7)",
        )
        .bind(catalog.uuid())
        .bind(column(rows, |row| big(row.number)))
        .bind(column(rows, |row| row.base))
        .bind(column(rows, |row| row.mask.map(limekiln_jobs::ImageId::uuid)))
        .bind(column(rows, |row| object(&row.fields)))
        .bind(column(rows, |row| object(&row.sent)))
        .bind(&changed)
        .bind(column(rows, |row| row.object))
        .bind(column(rows, super::steps::written))
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query(
        "update catalogs
        set passed = passed + $2, review = review + $3, rejected = rejected + $4, failed = failed + $5,
            waiting = waiting + $6, version = version + 1, decided_at = now(), ended_at = case when $6 > 0 then null else ended_at end
        where id = $1",
    )
    .bind(catalog.uuid())
    .bind(counts[0])
    .bind(counts[1])
    .bind(counts[2])
    .bind(counts[3])
    .bind(if waits { changed.len() as i64 } else { 0 })
    .execute(&mut *tx)
    .await?;
    Ok(Some(changed.len() as u64))
}

/// States of rows that ended, in the order of their counters here.
const COUNTED: [RowState; 4] = [
    RowState::Passed,
    RowState::Review,
    RowState::Rejected,
    RowState::Failed,
];
