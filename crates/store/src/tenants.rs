//! Tenants and their limits.

use limekiln_jobs::TenantId;
use time::OffsetDateTime;

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::row::{get, id, int, small};
use crate::secret::random;
use crate::{Error, Result, Secret, Store};

/// What a tenant may ask for; exact across gateways.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Submissions a second, in the long run.
    pub rate_per_second: f64,
    /// Submissions at once, after a pause.
    pub rate_burst: u32,
    /// Edits that have not ended, at any moment.
    pub in_flight: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rate_per_second: 20.0,
            rate_burst: 100,
            in_flight: 1_000,
        }
    }
}

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
        limits.check()?;
        let secret = random("whsec_")?;
        let created = self
            .rows(
                "tenant_create",
                sqlx::query(
                    "insert into tenants
                        (id, name, rate_per_second, rate_burst, rate_tokens, in_flight_limit, webhook_secret)
                    values ($1, $2, $3, $4, $4, $5, $6)
                    on conflict (name) do nothing
                    returning *",
                )
                .bind(TenantId::new().uuid())
                .bind(name)
                .bind(limits.rate_per_second)
                .bind(int(limits.rate_burst))
                .bind(int(limits.in_flight))
                .bind(secret.expose()),
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

    /// Replaces a tenant's limits. `None`: there is no such tenant.
    pub async fn tenant_limits_set(&self, id: TenantId, limits: &Limits) -> Result<Option<Tenant>> {
        limits.check()?;
        let row = self
            .row(
                "tenant_limits_set",
                sqlx::query(
                    "update tenants
                    set rate_per_second = $2, rate_burst = $3, rate_tokens = least(rate_tokens, $3), in_flight_limit = $4
                    where id = $1
                    returning *",
                )
                .bind(id.uuid())
                .bind(limits.rate_per_second)
                .bind(int(limits.rate_burst))
                .bind(int(limits.in_flight)),
            )
            .await?;
        row.as_ref().map(tenant).transpose()
    }

    /// The secret that the tenant's webhooks are signed with.
    pub async fn tenant_webhook_secret(&self, id: TenantId) -> Result<Option<Secret>> {
        let row = self
            .row(
                "tenant_webhook_secret",
                sqlx::query("select webhook_secret from tenants where id = $1").bind(id.uuid()),
            )
            .await?;
        row.map(|row| Ok(Secret::new(row.try_get::<String, _>("webhook_secret")?)))
            .transpose()
    }
}

impl Limits {
    /// The largest there are, for tests and benchmarks.
    pub const UNLIMITED: Self = Self {
        rate_per_second: 1e9,
        rate_burst: i32::MAX.unsigned_abs(),
        in_flight: i32::MAX.unsigned_abs(),
    };

    fn check(&self) -> Result<()> {
        if !(self.rate_per_second > 0.0 && self.rate_per_second <= 1e9) {
            return Err(invalid(
                "rate_per_second",
                "must be above 0 and at most a billion",
            ));
        }
        if !(1..=i32::MAX.unsigned_abs()).contains(&self.rate_burst) {
            return Err(invalid("rate_burst", "must be from 1 to 2147483647"));
        }
        if self.in_flight > i32::MAX.unsigned_abs() {
            return Err(invalid("in_flight", "must be at most 2147483647"));
        }
        Ok(())
    }
}

fn invalid(field: &'static str, message: &str) -> Error {
    Error::Invalid {
        field,
        message: message.to_owned(),
    }
}

fn tenant(row: &PgRow) -> Result<Tenant> {
    Ok(Tenant {
        id: id(row, "id")?,
        name: get(row, "name")?,
        limits: Limits {
            rate_per_second: get(row, "rate_per_second")?,
            rate_burst: small(row, "rate_burst")?,
            in_flight: small(row, "in_flight_limit")?,
        },
        in_flight: small(row, "in_flight")?,
        created_at: get(row, "created_at")?,
    })
}
