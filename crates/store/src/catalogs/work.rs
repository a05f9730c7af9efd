//! Rows become edits, and edits that ended become states of rows. A coordinator does both for a catalog in one transaction, under the lock
//! on its row: whoever dies before it commits has done nothing, and whoever comes after finds what is left to do in the tables.

use std::collections::{HashMap, HashSet};

use limekiln_jobs::api::CatalogRequest;
use limekiln_jobs::catalog::{Measures, RowState};
use limekiln_jobs::{BatchId, EditId, ImageId, StateName, TenantId};
use serde_json::Value;
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::steps::{self, Next};
use crate::arrays::column;
use crate::conn::deadline;
use crate::row::{bad, big, clean, get, id, int, json, small, whole};
use crate::{Result, Store};

/// The most rows that are settled at once.
const SETTLED_MOST: u32 = 256;
/// Shares of regions of a picture's other rows that are looked at.
const SIBLINGS_MOST: i32 = 32;

/// A catalog that has something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogDue {
    /// Id of the catalog.
    pub catalog: BatchId,
    /// The tenant whose catalog it is.
    pub tenant: TenantId,
    /// Rows whose edits are under way.
    pub live: u32,
    /// Rows that were not started yet.
    pub waiting: u64,
    /// Whether no rows are started.
    pub paused: bool,
    /// Whether its edits are to be cancelled.
    pub cancelled: bool,
    /// The tenant's edits that have not ended.
    pub in_flight: u32,
    /// As many it may have.
    pub in_flight_limit: u32,
    /// Edits that the fleet can run at once.
    pub slots: u32,
}

/// What was done to a catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogWork {
    /// Rows that became edits.
    pub started: u32,
    /// Rows that began their next edit.
    pub continued: u32,
    /// Rows whose edits had ended.
    pub settled: u32,
    /// Whether this was its end.
    pub ended: bool,
}

/// What became of a row.
struct Settled {
    number: u64,
    state: RowState,
    reasons: String,
    error: Option<String>,
    measures: Measures,
}

impl Store {
    /// Up to `limit` catalogs that have something to do, those of a tenant by priority.
    pub async fn catalogs_due(&self, limit: u32) -> Result<Vec<CatalogDue>> {
        let statement = sqlx::query(include_str!("../sql/catalogs_due.sql")).bind(int(limit));
        let rows = self.rows("catalogs_due", statement).await?;
        let due = |row: &PgRow| {
            Ok(CatalogDue {
                catalog: id(row, "id")?,
                tenant: id(row, "tenant_id")?,
                live: small(row, "live")?,
                waiting: whole(row, "waiting")?,
                paused: get(row, "paused")?,
                cancelled: get(row, "cancelled")?,
                in_flight: small(row, "in_flight")?,
                in_flight_limit: small(row, "in_flight_limit")?,
                slots: small(row, "slots")?,
            })
        };
        rows.iter().map(due).collect()
    }

    /// The edits of a catalog's live rows.
    pub async fn catalog_live(&self, catalog: BatchId, limit: u32) -> Result<Vec<EditId>> {
        let live = "select r.edit_id from catalog_rows r
            where r.catalog_id = $1 and r.state = 'live' order by r.number limit $2";
        let statement = sqlx::query(live).bind(catalog.uuid()).bind(int(limit));
        let rows = self.rows("catalog_live", statement).await?;
        rows.iter().map(|row| id(row, "edit_id")).collect()
    }

    /// Reads what became of edits of its rows, and makes edits of as many as `room`. Nothing where another does that now.
    pub async fn catalog_work(
        &self,
        tenant: TenantId,
        catalog: BatchId,
        room: u32,
    ) -> Result<CatalogWork> {
        // Made here, by the server's clock, so that lines are in the order of ids.
        let now = self.clock();
        let ids: Vec<Uuid> = (0..room).map(|_| EditId::at(now).uuid()).collect();
        let mut conn = self.conn().await?;
        let work = deadline(async {
            let mut tx = conn.get().begin().await?;
            let work = work(&mut tx, tenant, catalog, (&ids, now)).await;
            match &work {
                Ok(_) => tx.commit().await?,
                Err(_) => tx.rollback().await?,
            }
            Ok(work)
        });
        let work = work.await?;
        conn.done_with("catalog_work");
        work
    }
}

async fn work(
    tx: &mut PgConnection,
    tenant: TenantId,
    catalog: BatchId,
    (ids, now): (&[Uuid], OffsetDateTime),
) -> Result<CatalogWork> {
    let held = sqlx::query(
        "select settings, cancelled_at is not null as cancelled, paused_at is null and cancelled_at is null as runs, sealed_at is not null as sealed, waiting, live
        from catalogs where id = $1 and ended_at is null for no key update skip locked",
    )
    .bind(catalog.uuid())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(held) = held else {
        return Ok(CatalogWork::default());
    };
    let request: CatalogRequest = json(get(&held, "settings")?, "settings")?;
    let cancelled = get(&held, "cancelled")?;
    let (settled, next) = settle(tx, catalog, &request, (now, cancelled)).await?;
    steps::begin(tx, tenant, catalog, &next).await?;
    let (mut started, mut failed) = (0, 0);
    let waiting: u64 = whole(&held, "waiting")?;
    if get(&held, "runs")? && waiting > 0 && !ids.is_empty() {
        let states = sqlx::query(include_str!("../sql/catalog_release.sql"))
            .bind(catalog.uuid())
            .bind(tenant.uuid())
            .bind(ids)
            .fetch_all(&mut *tx)
            .await?;
        for row in &states {
            match get::<&str>(row, "state")? {
                "live" => started += 1,
                _ => failed += 1,
            }
        }
    }
    let count = |state| settled.iter().filter(|row| row.state == state).count() as i64;
    let live: i32 = get(&held, "live")?;
    let left = waiting.saturating_sub(u64::from(started + failed));
    let still = live - int(settled.len() as u32) + int(started);
    let ended = get(&held, "sealed")? && left == 0 && still <= 0;
    if settled.is_empty() && next.is_empty() && started + failed == 0 && !ended {
        return Ok(CatalogWork::default());
    }
    sqlx::query(
        "update catalogs
        set waiting = waiting - $2, live = live + $3, passed = passed + $4, review = review + $5, failed = failed + $6,
            cancelled = cancelled + $7, version = version + 1,
            started_at = case when $8 > 0 then coalesce(started_at, now()) else started_at end,
            ended_at = case when $9 then now() end
        where id = $1",
    )
    .bind(catalog.uuid())
    .bind(i64::from(started + failed))
    .bind(int(started) - int(settled.len() as u32))
    .bind(count(RowState::Passed))
    .bind(count(RowState::Review))
    .bind(count(RowState::Failed) + i64::from(failed))
    .bind(count(RowState::Cancelled))
    .bind(int(started))
    .bind(ended)
    .execute(&mut *tx)
    .await?;
    Ok(CatalogWork {
        started,
        continued: next.len() as u32,
        settled: settled.len() as u32 + failed,
        ended,
    })
}

/// Writes what became of live rows whose last edits ended; those of which another edit follows come back beside them.
async fn settle(
    tx: &mut PgConnection,
    catalog: BatchId,
    request: &CatalogRequest,
    (now, cancelled): (OffsetDateTime, bool),
) -> Result<(Vec<Settled>, Vec<Next>)> {
    let rows = sqlx::query(include_str!("../sql/catalog_ended.sql"))
        .bind(catalog.uuid())
        .bind(int(SETTLED_MOST))
        .fetch_all(&mut *tx)
        .await?;
    if rows.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let mut next = Vec::new();
    let mut siblings = siblings(tx, catalog, &rows).await?;
    let mut settled = Vec::with_capacity(rows.len());
    for row in &rows {
        let (state, error): (Option<&str>, Option<String>) =
            (get(row, "state")?, get(row, "error")?);
        let number = whole(row, "number")?;
        let other = |state, error| Settled {
            number,
            state,
            reasons: String::new(),
            error,
            measures: Measures::default(),
        };
        let (more, further): (bool, bool) = (get(row, "more")?, get(row, "further")?);
        settled.push(match state.map(StateName::from) {
            // What is cancelled begins nothing any more.
            Some(StateName::Succeeded) if more && cancelled => other(RowState::Cancelled, None),
            Some(StateName::Succeeded) => {
                let report: Value = get(row, "report")?;
                let measures = Measures::of(&report, get(row, "seconds")?);
                // What a picture's rows have in common is the region of their first object.
                let none = &mut Vec::new();
                let of = match further {
                    true => none,
                    false => siblings.entry(id(row, "image_id")?).or_default(),
                };
                let verdict = request.gate.judge(&measures, get(row, "masked")?, of);
                of.extend(measures.share);
                let before: &str = get(row, "reasons")?;
                let mut reasons: Vec<&str> =
                    before.split(',').filter(|one| !one.is_empty()).collect();
                reasons.extend(verdict.reasons.iter().map(|one| one.as_str()));
                let mut unlike = HashSet::new();
                reasons.retain(|one| unlike.insert(*one));
                let measures = match get::<Option<Value>>(row, "measures")? {
                    Some(before) if further => json::<Measures>(before, "measures")?.with(measures),
                    _ => measures,
                };
                if more {
                    next.push(Next {
                        number,
                        edit: EditId::at(now),
                        reasons: reasons.join(","),
                        measures: serde_json::to_value(&measures)
                            .map_err(|error| bad("measures", error))?,
                    });
                    continue;
                }
                Settled {
                    number,
                    state: match reasons.is_empty() {
                        true => RowState::Passed,
                        false => RowState::Review,
                    },
                    reasons: reasons.join(","),
                    error: None,
                    measures,
                }
            }
            Some(StateName::Cancelled) => other(RowState::Cancelled, None),
            Some(_) => other(RowState::Failed, error),
            None => other(RowState::Failed, Some("its edit was deleted".to_owned())),
        });
    }
    let measures = settled
        .iter()
        .map(|row| serde_json::to_value(&row.measures).map_err(|error| bad("measures", error)))
        .collect::<Result<Vec<_>>>()?;
    sqlx::query(
        "update catalog_rows r
        set state = a.state, reasons = a.reasons, error = a.error, measures = a.measures, ended_at = now()
        from unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::jsonb[]) as a (number, state, reasons, error, measures)
        where r.catalog_id = $1 and r.number = a.number",
    )
    .bind(catalog.uuid())
    .bind(column(&settled, |row| big(row.number)))
    .bind(column(&settled, |row| row.state.as_str()))
    .bind(column(&settled, |row| row.reasons.as_str()))
    .bind(column(&settled, |row| row.error.as_deref().map(clean)))
    .bind(measures)
    .execute(&mut *tx)
    .await?;
    Ok((settled, next))
}

/// Shares of the regions of rows of the same pictures that ended before.
async fn siblings(
    tx: &mut PgConnection,
    catalog: BatchId,
    rows: &[PgRow],
) -> Result<HashMap<ImageId, Vec<f64>>> {
    let mut images = Vec::with_capacity(rows.len());
    for row in rows {
        images.push(id::<ImageId>(row, "image_id")?.uuid());
    }
    images.sort_unstable();
    images.dedup();
    let found = sqlx::query(
        "select a.id, r.share
        from unnest($2::uuid[]) as a (id)
        cross join lateral (
            select (r.measures ->> 'share')::double precision as share
            from catalog_rows r
            where r.catalog_id = $1 and r.image_id = a.id and r.state in ('passed', 'review')
            order by r.catalog_id, r.image_id, r.object_id, r.number
            limit $3
        ) r
        where r.share is not null",
    )
    .bind(catalog.uuid())
    .bind(images)
    .bind(SIBLINGS_MOST)
    .fetch_all(&mut *tx)
    .await?;
    let mut siblings: HashMap<ImageId, Vec<f64>> = HashMap::new();
    for row in &found {
        siblings
            .entry(id(row, "id")?)
            .or_default()
            .push(get(row, "share")?);
    }
    Ok(siblings)
}
