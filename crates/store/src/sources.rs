//! Where a tenant's pictures may be fetched from.

use limekiln_jobs::api::SourceRequest;
use limekiln_jobs::source::Address;
use limekiln_jobs::{SourceId, TenantId};
use sqlx::postgres::PgRow;
use time::OffsetDateTime;

use crate::row::{clean, get, id, int};
use crate::{Error, Result, Secret, Store};

/// The most places of a tenant.
pub const SOURCES_MAX: u32 = 100;

/// A place that pictures may be fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Id of the place.
    pub id: SourceId,
    /// What addresses in it begin with.
    pub place: String,
    /// Of a bucket: the S3 server, unless it is Amazon's.
    pub endpoint: Option<String>,
    /// Of a bucket: its region.
    pub region: Option<String>,
    /// Of a bucket: the access key and its secret.
    pub credentials: Option<(String, Secret)>,
    /// When it was allowed.
    pub created_at: OffsetDateTime,
}

impl Source {
    /// The place that is asked for, which is `place` as [`SourceRequest::check`] read it.
    pub fn asked(request: SourceRequest, place: &Address) -> Self {
        Self {
            id: SourceId::new(),
            place: place.to_string(),
            endpoint: request.endpoint.map(String::from),
            region: request.region,
            credentials: request.access_key.zip(request.secret_key.map(Secret::new)),
            created_at: OffsetDateTime::now_utc(),
        }
    }
}

impl Store {
    /// Allows a place, or replaces what was said of it; `None` where the tenant is gone or has as many as it may.
    pub async fn source_put(&self, tenant: TenantId, source: &Source) -> Result<Option<Source>> {
        let sql = "insert into sources as s (id, tenant_id, place, endpoint, region, access_key, secret_key)
            select $2, t.id, $3, $4, $5, $6, $7
            from tenants t
            where t.id = $1 and t.erasing_at is null
                and (
                    exists (select from sources o where o.tenant_id = $1 and o.place = $3)
                    or (select count(*) from sources o where o.tenant_id = $1) < $8
                )
            on conflict (tenant_id, place) do update
            set endpoint = excluded.endpoint, region = excluded.region, access_key = excluded.access_key,
                secret_key = excluded.secret_key
            returning s.*";
        let credentials = source.credentials.as_ref();
        let statement = sqlx::query(sql)
            .bind(tenant.uuid())
            .bind(source.id.uuid())
            .bind(clean(&source.place))
            .bind(source.endpoint.as_deref().map(clean))
            .bind(source.region.as_deref().map(clean))
            .bind(credentials.map(|(key, _)| clean(key)))
            .bind(credentials.map(|(_, secret)| clean(secret.expose())))
            .bind(int(SOURCES_MAX));
        let row = self.row("source_put", statement).await?;
        row.as_ref().map(read).transpose()
    }

    /// The places of a tenant.
    ///
    /// # Errors
    /// [`Error::NoTenant`].
    pub async fn sources(&self, tenant: TenantId) -> Result<Vec<Source>> {
        let sql = "select s.* from sources s where s.tenant_id = $1 order by s.place";
        let rows = self
            .rows("sources", sqlx::query(sql).bind(tenant.uuid()))
            .await?;
        if rows.is_empty() && self.tenant_get(tenant).await?.is_none() {
            return Err(Error::NoTenant);
        }
        rows.iter().map(read).collect()
    }

    /// Allows a place no more; `false` where there is none.
    pub async fn source_delete(&self, id: SourceId) -> Result<bool> {
        let statement = sqlx::query("delete from sources s where s.id = $1").bind(id.uuid());
        Ok(self.count("source_delete", statement).await? > 0)
    }
}

fn read(row: &PgRow) -> Result<Source> {
    let key = get::<Option<String>>(row, "access_key")?;
    let secret = get::<Option<String>>(row, "secret_key")?;
    Ok(Source {
        id: id(row, "id")?,
        place: get(row, "place")?,
        endpoint: get(row, "endpoint")?,
        region: get(row, "region")?,
        credentials: key.zip(secret.map(Secret::new)),
        created_at: get(row, "created_at")?,
    })
}
