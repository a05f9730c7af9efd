//! Catalogs. `rows` takes and shows their rows, `pictures` has those that rows name by their address, `work` makes edits of them and reads what became of those, `steps` begins further edits of rows about several objects, `decide` changes rows that
//! ended. `rates` tells how long edits took lately.

mod decide;
mod pictures;
mod rates;
mod rows;
mod steps;
mod work;

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::api::{CatalogLinks, CatalogPage, CatalogRequest, CatalogView};
use limekiln_jobs::catalog::{CATALOGS_OPEN_MAX, CatalogState};
use limekiln_jobs::{BatchId, Digest, TenantId};
use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::query::Query;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::row::{bad, clean, clean_json, get, id, int, json, whole};
use crate::{Error, Result, Store};

pub use pictures::{NewPicture, PictureDue, PictureSettled};
pub use rows::{NewBase, NewRow, RowRequest, RowsAdded};
pub use steps::NewStep;
pub use work::{CatalogDue, CatalogWork};

/// A catalog to be written.
#[derive(Debug, Clone)]
pub struct NewCatalog {
    /// Its id, made by the caller.
    pub id: BatchId,
    /// What it was asked for with.
    pub request: CatalogRequest,
    /// Label of the key.
    pub made_by: String,
    /// The key under which the first answer is given again.
    pub idempotency_key: Option<String>,
    /// Digest of the request.
    pub digest: Digest,
}

/// What became of a new catalog.
#[derive(Debug, Clone, PartialEq)]
pub enum CatalogCreated {
    /// It is there.
    Created(Box<CatalogView>),
    /// The same key and request came before.
    Replayed(Box<CatalogView>),
    /// The same key came before with another request.
    KeyReused,
    /// The tenant has as many open ones as it may.
    TooMany,
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

impl Store {
    /// Creates a catalog; the same idempotency key again is the same catalog.
    ///
    /// # Errors
    /// [`Error::NoTenant`].
    pub async fn catalog_create(
        &self,
        tenant: TenantId,
        catalog: NewCatalog,
    ) -> Result<CatalogCreated> {
        let key = catalog.idempotency_key.as_deref();
        if let Some(before) = self.catalog_before(tenant, key).await? {
            return replayed(before, &catalog.digest);
        }
        let row = self
            .row("catalog_create", inserted(tenant, &catalog)?)
            .await?;
        let Some(row) = row else {
            return Err(Error::NoTenant);
        };
        if let Some(view) = self.catalog_get(tenant, catalog.id).await? {
            return Ok(CatalogCreated::Created(view.into()));
        }
        // Another request with this key was faster, or there was no room.
        match self.catalog_before(tenant, key).await? {
            Some(before) => replayed(before, &catalog.digest),
            None if get(&row, "full")? => Ok(CatalogCreated::TooMany),
            None => Err(Error::NoTenant),
        }
    }

    async fn catalog_before(&self, tenant: TenantId, key: Option<&str>) -> Result<Option<PgRow>> {
        let Some(key) = key else {
            return Ok(None);
        };
        let before = "select * from catalogs where tenant_id = $1 and idempotency_key = $2";
        let statement = sqlx::query(before).bind(tenant.uuid()).bind(key);
        self.row("catalog_before", statement).await
    }

    /// The catalog; `None` when the tenant has no such one.
    pub async fn catalog_get(&self, tenant: TenantId, id: BatchId) -> Result<Option<CatalogView>> {
        let get = "select * from catalogs where id = $1 and tenant_id = $2";
        self.catalog_changed("catalog_get", sqlx::query(get), tenant, id)
            .await
    }

    /// These catalogs.
    pub(crate) async fn catalogs_of(
        &self,
        ids: &[BatchId],
    ) -> Result<HashMap<BatchId, CatalogView>> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let statement = sqlx::query("select * from catalogs where id = any ($1)").bind(ids);
        let rows = self.rows("catalogs_of", statement).await?;
        rows.iter()
            .map(|row| view(row).map(|view| (view.id, view)))
            .collect()
    }

    /// Deletes up to `limit` rows of catalogs that ended, or were decided on, longer than `age` ago, and catalogs that have none left;
    /// returns how many rows and catalogs went.
    pub async fn catalogs_prune(&self, age: Duration, limit: u32) -> Result<u64> {
        let sql = include_str!("../sql/catalogs_prune.sql");
        self.pruned("catalogs_prune", sql, age, limit).await
    }

    /// A page of catalogs, newest first.
    pub async fn catalogs_list(
        &self,
        tenant: TenantId,
        from: Option<BatchId>,
        limit: u32,
    ) -> Result<CatalogPage> {
        let list = "select * from catalogs where tenant_id = $1 and ($2::uuid is null or id <= $2)
            order by id desc limit $3";
        let statement = sqlx::query(list)
            .bind(tenant.uuid())
            .bind(from.map(BatchId::uuid))
            .bind(int(limit.saturating_add(1)));
        let rows = self.rows("catalogs_list", statement).await?;
        let mut catalogs = rows.iter().map(view).collect::<Result<Vec<_>>>()?;
        let next = catalogs.get(limit as usize).map(|catalog| catalog.id);
        catalogs.truncate(limit as usize);
        Ok(CatalogPage { catalogs, next })
    }

    /// Takes no more rows from now on.
    pub async fn catalog_seal(&self, tenant: TenantId, id: BatchId) -> Result<Option<CatalogView>> {
        let seal = "update catalogs
            set sealed_at = coalesce(sealed_at, now()), version = version + (sealed_at is null)::int
            where id = $1 and tenant_id = $2 returning *";
        self.catalog_changed("catalog_seal", sqlx::query(seal), tenant, id)
            .await
    }

    /// Starts no more rows, or starts them again.
    pub async fn catalog_pause(
        &self,
        tenant: TenantId,
        id: BatchId,
        pause: bool,
    ) -> Result<Option<CatalogView>> {
        let pauses = "update catalogs
            set paused_at = case when $3 then coalesce(paused_at, now()) end, version = version + 1
            where id = $1 and tenant_id = $2 returning *";
        let statement = sqlx::query(pauses)
            .bind(id.uuid())
            .bind(tenant.uuid())
            .bind(pause);
        let row = self.row("catalog_pause", statement).await?;
        row.as_ref().map(view).transpose()
    }

    /// Gives it another priority.
    pub async fn catalog_priority(
        &self,
        tenant: TenantId,
        id: BatchId,
        priority: i16,
    ) -> Result<Option<CatalogView>> {
        let sets = "update catalogs set priority = $3, version = version + 1
            where id = $1 and tenant_id = $2 returning *";
        let statement = sqlx::query(sets)
            .bind(id.uuid())
            .bind(tenant.uuid())
            .bind(priority);
        let row = self.row("catalog_priority", statement).await?;
        row.as_ref().map(view).transpose()
    }

    /// Cancels all rows that wait, at once; coordinators cancel the edits that are under way.
    pub async fn catalog_cancel(
        &self,
        tenant: TenantId,
        id: BatchId,
    ) -> Result<Option<CatalogView>> {
        let cancel = "update catalogs
            set cancelled = cancelled + waiting, waiting = 0,
                sealed_at = coalesce(sealed_at, now()),
                cancelled_at = case when ended_at is null then coalesce(cancelled_at, now()) else cancelled_at end,
                ended_at = case when live = 0 then coalesce(ended_at, now()) else ended_at end,
                version = version + 1
            where id = $1 and tenant_id = $2 returning *";
        self.catalog_changed("catalog_cancel", sqlx::query(cancel), tenant, id)
            .await
    }

    async fn catalog_changed(
        &self,
        name: &'static str,
        statement: Statement<'_>,
        tenant: TenantId,
        id: BatchId,
    ) -> Result<Option<CatalogView>> {
        let statement = statement.bind(id.uuid()).bind(tenant.uuid());
        let row = self.row(name, statement).await?;
        row.as_ref().map(view).transpose()
    }
}

/// Writes a catalog unless the tenant has as many open ones as it may; whether it did.
///
/// # Errors
/// [`Error::NoTenant`].
pub(crate) async fn insert(
    tx: &mut PgConnection,
    tenant: TenantId,
    catalog: &NewCatalog,
) -> Result<bool> {
    let row = inserted(tenant, catalog)?.fetch_optional(tx).await?;
    let row = row.ok_or(Error::NoTenant)?;
    get(&row, "made")
}

fn inserted(tenant: TenantId, catalog: &NewCatalog) -> Result<Statement<'_>> {
    let settings = serde_json::to_value(&catalog.request).map_err(|e| bad("settings", e))?;
    Ok(sqlx::query(include_str!("../sql/catalog_create.sql"))
        .bind(catalog.id.uuid())
        .bind(tenant.uuid())
        .bind(clean_json(settings))
        .bind(clean(&catalog.made_by))
        .bind(catalog.idempotency_key.as_deref())
        .bind(catalog.digest.bytes().to_vec())
        .bind(catalog.request.priority)
        .bind(int(CATALOGS_OPEN_MAX)))
}

fn replayed(before: PgRow, digest: &Digest) -> Result<CatalogCreated> {
    let same = get::<&[u8]>(&before, "request_digest")? == digest.bytes();
    Ok(if same {
        CatalogCreated::Replayed(view(&before)?.into())
    } else {
        CatalogCreated::KeyReused
    })
}

fn view(row: &PgRow) -> Result<CatalogView> {
    let id: BatchId = id(row, "id")?;
    let request: CatalogRequest = json(get(row, "settings")?, "settings")?;
    let at = |column| get::<Option<OffsetDateTime>>(row, column);
    let (started_at, ended_at) = (at("started_at")?, at("ended_at")?);
    let (waiting, live): (u64, u32) = (whole(row, "waiting")?, crate::row::small(row, "live")?);
    let (passed, review) = (whole::<u64>(row, "passed")?, whole::<u64>(row, "review")?);
    let (rejected, failed) = (whole::<u64>(row, "rejected")?, whole::<u64>(row, "failed")?);
    let state = match (at("cancelled_at")?, ended_at, at("paused_at")?) {
        (Some(_), _, _) if live > 0 => CatalogState::Cancelling,
        (Some(_), _, _) => CatalogState::Cancelled,
        (None, Some(_), _) => CatalogState::Ended,
        (None, None, Some(_)) => CatalogState::Paused,
        (None, None, None) if at("sealed_at")?.is_some() => CatalogState::Sealed,
        (None, None, None) => CatalogState::Open,
    };
    let done = passed + review + rejected + failed;
    let until = ended_at.unwrap_or_else(OffsetDateTime::now_utc);
    let hours = started_at.map(|from| (until - from).as_seconds_f64() / 3600.0);
    let rate_per_hour = hours
        .filter(|hours| *hours > 0.0 && done > 0)
        .map(|hours| done as f64 / hours);
    let left = (waiting + u64::from(live)) as f64;
    Ok(CatalogView {
        id,
        name: request.name,
        state,
        priority: get(row, "priority")?,
        rows: whole(row, "row_count")?,
        waiting,
        live: live.into(),
        passed,
        review,
        rejected,
        failed,
        cancelled: whole(row, "cancelled")?,
        rate_per_hour,
        left_s: rate_per_hour.map(|rate| left / rate * 3600.0),
        version: whole(row, "version")?,
        made_by: get(row, "made_by")?,
        defaults: request.defaults,
        gate: request.gate,
        created_at: get(row, "created_at")?,
        started_at,
        ended_at,
        links: CatalogLinks::new(id),
    })
}
