//! The tenant of a key: its limits and what it used.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::ids::TenantId;

crate::text_enum::text_enum! {
    /// What an API key may do.
    pub enum Role, "a role" {
        /// Use the images, edits and sessions of its tenant.
        Tenant = "tenant",
        /// As `tenant`, and the admin routes.
        Admin = "admin",
    }
}

/// The tenant that an API key belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Id of the tenant.
    pub tenant: TenantId,
    /// Name of the tenant.
    #[schema(example = "acme")]
    pub name: String,
    /// What the key may do.
    pub role: Role,
    /// What the tenant may ask for.
    pub limits: AccountLimits,
    /// Number of the tenant's edits that have not ended.
    pub in_flight: u32,
    /// What the tenant has used of its limits.
    pub used: TenantUse,
    /// When the key stops working by itself; null where it does not.
    #[serde(with = "time::serde::rfc3339::option")]
    pub key_expires_at: Option<OffsetDateTime>,
    /// Usage by day (UTC), the last 31 days. Days without usage are left out.
    pub usage: Vec<DayUsage>,
}

/// What a tenant may ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountLimits {
    /// Edits per second on average.
    #[schema(example = 20.0)]
    pub rate_per_second: f64,
    /// Edits that may be submitted at once after a pause.
    #[schema(example = 100)]
    pub rate_burst: u32,
    /// Edits that may be under way, queued ones included.
    #[schema(example = 1000)]
    pub in_flight: u32,
    /// Requests per second of this key on average.
    #[schema(example = 200.0)]
    pub requests_per_second: f64,
    /// Requests of this key that may come at once after a pause.
    #[schema(example = 1000)]
    pub requests_burst: u32,
    /// Bytes of new pictures that may be uploaded on one day (UTC); null where there is no bound.
    pub upload_bytes_daily: Option<u64>,
    /// Bytes of pictures and results that may be stored at a time; null where there is no bound.
    pub stored_bytes: Option<u64>,
    /// Attempts that an edit may have at most; a request for more gets these.
    #[schema(example = 5)]
    pub attempts: u16,
    /// Requests that one gateway answers at once for the tenant.
    #[schema(example = 128)]
    pub requests_at_once: u64,
    /// Streams of events that one gateway keeps open for the tenant.
    #[schema(example = 512)]
    pub streams: u64,
    /// Requests of the OpenAI route that wait for their pictures at one gateway.
    #[schema(example = 64)]
    pub waits: u64,
    /// Largest picture in bytes, as uploaded.
    #[schema(example = 20_971_520)]
    pub image_bytes: u64,
    /// Largest picture in pixels, width times height.
    #[schema(example = 64_000_000)]
    pub image_pixels: u64,
    /// Longest side of a picture in pixels.
    #[schema(example = 12_288)]
    pub image_side: u32,
}

/// What a tenant has used of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantUse {
    /// Edits under way, queued ones included.
    pub in_flight: u32,
    /// Bytes of new pictures that were uploaded today (UTC).
    pub uploaded_bytes_today: u64,
    /// Bytes of pictures and results that are stored.
    pub stored_bytes: u64,
}

/// What a tenant used on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DayUsage {
    /// The day (UTC).
    #[schema(value_type = String, format = Date, example = "2025-01-02")]
    pub day: String,
    /// Number of edits that ended on it.
    pub edits: u64,
    /// Seconds of computing, on whatever device the workers have.
    pub gpu_seconds: f64,
    /// Bytes stored: uploads and results.
    pub bytes: u64,
    /// Bytes of new pictures that were uploaded; in `bytes` as well.
    #[serde(default)]
    pub uploaded_bytes: u64,
    /// Bytes of pictures and results that were deleted.
    #[serde(default)]
    pub freed_bytes: u64,
}
