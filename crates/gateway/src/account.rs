//! Who I am, what I may, what I used.

use axum::{Json, extract};
use limekiln_jobs::TenantId;
use limekiln_store::Role;
use serde::Serialize;
use time::{Date, OffsetDateTime};
use utoipa::ToSchema;

use crate::State;
use crate::caller::Tenant;
use crate::problem::{Code, Problem};

/// Days of usage that are shown.
const DAYS: i64 = 31;

/// A tenant as it sees itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct Me {
    /// Its id.
    tenant: TenantId,
    /// Its name.
    #[schema(example = "acme")]
    name: String,
    /// What the key may do.
    role: RoleName,
    limits: AccountLimits,
    /// Edits that have not ended.
    in_flight: u32,
    /// The last 31 days, UTC, those without use left out.
    usage: Vec<Day>,
}

/// What a key may do.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RoleName {
    /// Its tenant's images and edits.
    Tenant,
    /// That, and the admin routes.
    Admin,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Tenant => Self::Tenant,
            Role::Admin => Self::Admin,
        }
    }
}

/// What a tenant may ask for.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountLimits {
    /// Edits a second, in the long run.
    #[schema(example = 20.0)]
    rate_per_second: f64,
    /// Edits at once, after a pause.
    #[schema(example = 100)]
    rate_burst: u32,
    /// Edits that have not ended.
    #[schema(example = 1000)]
    in_flight: u32,
    /// Bytes of a picture.
    #[schema(example = 20_971_520)]
    image_bytes: u64,
    /// Pixels of a picture.
    #[schema(example = 40_000_000)]
    image_pixels: u64,
    /// Pixels of a picture's longer side.
    #[schema(example = 8192)]
    image_side: u32,
}

/// A day's use.
#[derive(Serialize, ToSchema)]
pub(crate) struct Day {
    /// UTC.
    #[schema(value_type = String, format = Date, example = "2025-01-02")]
    day: String,
    /// Edits that ended.
    edits: u64,
    /// Seconds on devices.
    gpu_seconds: f64,
    /// Bytes stored: uploads and results.
    bytes: u64,
}

/// Look at the own tenant: limits and use
#[utoipa::path(
    get, path = "/v1/me", operation_id = "getMe", tag = "account",
    responses((status = 200, description = "The tenant of the key", body = Me)),
)]
pub(crate) async fn me(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
) -> Result<Json<Me>, Problem> {
    let found = state.store().tenant_get(caller.tenant).await?;
    let tenant = found.ok_or_else(|| Problem::plain(Code::Unauthorized))?;
    let today = OffsetDateTime::now_utc().date();
    let since = today.saturating_sub(time::Duration::days(DAYS - 1));
    // Tomorrow too: the days are the database's, whose clock may be ahead.
    let until = today.next_day().unwrap_or(today);
    let days = state.store().usage_get(caller.tenant, since, until).await?;
    let limits = &state.settings().limits;
    Ok(Json(Me {
        tenant: tenant.id,
        name: tenant.name,
        role: caller.role.into(),
        limits: AccountLimits {
            rate_per_second: tenant.limits.rate_per_second,
            rate_burst: tenant.limits.rate_burst,
            in_flight: tenant.limits.in_flight,
            image_bytes: limits.upload_bytes as u64,
            image_pixels: limits.pixels_max,
            image_side: limits.side_max,
        },
        in_flight: tenant.in_flight,
        usage: days
            .into_iter()
            .map(|day| Day {
                day: iso(day.day),
                edits: day.edits,
                gpu_seconds: day.gpu_ms as f64 / 1000.0,
                bytes: day.bytes,
            })
            .collect(),
    }))
}

/// As ISO 8601 has it.
fn iso(day: Date) -> String {
    format!(
        "{:04}-{:02}-{:02}",
        day.year(),
        u8::from(day.month()),
        day.day()
    )
}
