//! Tenants and their limits.

use limekiln_jobs::TenantId;
use limekiln_jobs::api::{TenantLimits as Limits, TenantUse};
use time::OffsetDateTime;

use sqlx::postgres::PgRow;

use crate::row::{big, get, id, int, small, tiny, whole, whole_opt};
use crate::secret::random_base64;
use crate::{Error, Result, Store};

/// A tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// The tenant's id.
    pub id: TenantId,
    /// A name that no other tenant has.
    pub name: String,
    /// What it may ask for.
    pub limits: Limits,
    /// How many of its edits have not ended.
    pub in_flight: u32,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// Since when it is being erased.
    pub erasing_at: Option<OffsetDateTime>,
}

impl Store {
    /// Creates a tenant.
    ///
    /// # Errors
    /// [`crate::Error::NameTaken`]; [`crate::Error::Invalid`] for a name of 0 or more than 100 characters, or limits out of range.
    pub async fn tenant_create(&self, name: &str, limits: &Limits) -> Result<Tenant> {
        let length = name.chars().count();
        if !(1..=100).contains(&length) || name.contains('\0') {
            return Err(invalid(
                "name",
                "must have 1 to 100 characters, none of them NUL",
            ));
        }
        check(limits)?;
        let secret = random_base64("whsec_")?;
        let created = self
            .rows(
                "tenant_create",
                sqlx::query(
                    "insert into tenants
                        (id, name, rate_per_second, rate_burst, rate_tokens, in_flight_limit, webhook_secret,
                        request_rate, request_burst, upload_bytes_daily, stored_bytes_limit, attempts_max)
                    values ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11)
                    on conflict (name) do nothing
                    returning *",
                )
                .bind(TenantId::new().uuid())
                .bind(name)
                .bind(limits.rate_per_second)
                .bind(int(limits.rate_burst))
                .bind(int(limits.in_flight))
                .bind(secret.expose())
                .bind(limits.requests_per_second)
                .bind(int(limits.requests_burst))
                .bind(limits.upload_bytes_daily.map(big))
                .bind(limits.stored_bytes.map(big))
                .bind(i32::from(limits.attempts)),
            )
            .await?;
        created
            .first()
            .map_or_else(|| Err(Error::NameTaken(name.to_owned())), tenant)
    }

    /// The tenant of this name.
    pub async fn tenant_by_name(&self, name: &str) -> Result<Option<Tenant>> {
        let row = self
            .row(
                "tenant_by_name",
                sqlx::query("select * from tenants where name = $1").bind(name),
            )
            .await?;
        row.as_ref().map(tenant).transpose()
    }

    /// The tenant of this id.
    pub async fn tenant_get(&self, id: TenantId) -> Result<Option<Tenant>> {
        let row = self
            .row(
                "tenant_get",
                sqlx::query("select * from tenants where id = $1").bind(id.uuid()),
            )
            .await?;
        row.as_ref().map(tenant).transpose()
    }

    /// All tenants, by name.
    pub async fn tenant_list(&self) -> Result<Vec<Tenant>> {
        let rows = self
            .rows(
                "tenant_list",
                sqlx::query("select * from tenants order by name"),
            )
            .await?;
        rows.iter().map(tenant).collect()
    }

    /// Up to `limit` tenants after `cursor`, oldest first.
    pub async fn tenant_page(&self, cursor: Option<TenantId>, limit: u32) -> Result<Vec<Tenant>> {
        let rows = self
            .rows(
                "tenant_page",
                sqlx::query(
                    "select * from tenants where $1::uuid is null or id > $1 order by id limit $2",
                )
                .bind(cursor.map(TenantId::uuid))
                .bind(i64::from(limit)),
            )
            .await?;
        rows.iter().map(tenant).collect()
    }

    /// What a tenant has used of its limits; all of it is 0 where there is no such tenant.
    pub async fn tenant_use(&self, id: TenantId) -> Result<TenantUse> {
        let row = self
            .row(
                "tenant_use",
                sqlx::query(include_str!("sql/tenant_use.sql")).bind(id.uuid()),
            )
            .await?;
        row.as_ref().map_or(Ok(TenantUse::default()), |row| {
            Ok(TenantUse {
                in_flight: small(row, "in_flight")?,
                uploaded_bytes_today: whole(row, "uploaded")?,
                stored_bytes: whole(row, "stored")?,
            })
        })
    }

    /// Replaces a tenant's limits. `None`: there is no such tenant, or it is being erased.
    pub async fn tenant_limits_set(&self, id: TenantId, limits: &Limits) -> Result<Option<Tenant>> {
        check(limits)?;
        let row = self
            .row(
                "tenant_limits_set",
                sqlx::query(
                    "update tenants
                    set rate_per_second = $2, rate_burst = $3, rate_tokens = least(rate_tokens, $3), in_flight_limit = $4,
                        request_rate = $5, request_burst = $6, upload_bytes_daily = $7, stored_bytes_limit = $8,
                        attempts_max = $9
                    where id = $1 and erasing_at is null
                    returning *",
                )
                .bind(id.uuid())
                .bind(limits.rate_per_second)
                .bind(int(limits.rate_burst))
                .bind(int(limits.in_flight))
                .bind(limits.requests_per_second)
                .bind(int(limits.requests_burst))
                .bind(limits.upload_bytes_daily.map(big))
                .bind(limits.stored_bytes.map(big))
                .bind(i32::from(limits.attempts)),
            )
            .await?;
        row.as_ref().map(tenant).transpose()
    }
}

/// Refuses limits that no row holds.
fn check(limits: &Limits) -> Result<()> {
    limits.check().map_err(|refused| Error::Invalid {
        field: "limits",
        message: refused.to_string(),
    })
}

fn invalid(field: &'static str, message: &str) -> Error {
    Error::Invalid {
        field,
        message: message.to_owned(),
    }
}

/// The limits in a row of `tenants`.
pub(crate) fn limits(row: &PgRow) -> Result<Limits> {
    Ok(Limits {
        rate_per_second: get(row, "rate_per_second")?,
        rate_burst: small(row, "rate_burst")?,
        in_flight: small(row, "in_flight_limit")?,
        requests_per_second: get(row, "request_rate")?,
        requests_burst: small(row, "request_burst")?,
        upload_bytes_daily: whole_opt(row, "upload_bytes_daily")?,
        stored_bytes: whole_opt(row, "stored_bytes_limit")?,
        attempts: tiny(row, "attempts_max")?,
    })
}

fn tenant(row: &PgRow) -> Result<Tenant> {
    Ok(Tenant {
        id: id(row, "id")?,
        name: get(row, "name")?,
        limits: limits(row)?,
        in_flight: small(row, "in_flight")?,
        created_at: get(row, "created_at")?,
        erasing_at: get(row, "erasing_at")?,
    })
}
