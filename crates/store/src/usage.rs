//! What tenants used, by day.

use limekiln_jobs::TenantId;
use time::Date;

use crate::row::{get, whole};
use crate::{Result, Store};

/// A tenant's day, UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageDay {
    /// The day.
    pub day: Date,
    /// Edits that ended.
    pub edits: u64,
    /// Time on devices, milliseconds.
    pub gpu_ms: u64,
    /// Bytes stored: uploads and results.
    pub bytes: u64,
    /// Bytes of new pictures; in `bytes` as well.
    pub uploaded: u64,
    /// Bytes of pictures and results that were deleted.
    pub freed: u64,
}

impl Store {
    /// The tenant's days from `from` to `to`, both included; days without use are left out.
    pub async fn usage_get(&self, tenant: TenantId, from: Date, to: Date) -> Result<Vec<UsageDay>> {
        let rows = self
            .rows(
                "usage_get",
                sqlx::query("select * from usage where tenant_id = $1 and day between $2 and $3 order by day")
                    .bind(tenant.uuid())
                    .bind(from)
                    .bind(to),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(UsageDay {
                    day: get(row, "day")?,
                    edits: whole(row, "edits")?,
                    gpu_ms: whole(row, "gpu_ms")?,
                    bytes: whole(row, "bytes")?,
                    uploaded: whole(row, "uploaded")?,
                    freed: whole(row, "freed")?,
                })
            })
            .collect()
    }
}
