//! The tenant of a key: its limits and what it used.

use serde::{Deserialize, Serialize};
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
    /// Largest picture in bytes, as uploaded.
    #[schema(example = 20_971_520)]
    pub image_bytes: u64,
    /// Largest picture in pixels, width times height.
    #[schema(example = 40_000_000)]
    pub image_pixels: u64,
    /// Longest side of a picture in pixels.
    #[schema(example = 8192)]
    pub image_side: u32,
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
}
