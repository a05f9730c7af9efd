//! `/v1/me`: the caller's tenant, its limits and what it used.

use axum::{Json, extract};
use limekiln_jobs::api::{Account, AccountLimits, DayUsage};
use limekiln_store::UsageDay;
use time::{Duration, OffsetDateTime};

use crate::State;
use crate::auth::Tenant;
use crate::problem::{Problem, ProblemCode};

/// Days of usage that are shown.
const DAYS: i64 = 31;

/// Show the tenant of the key: limits and usage
#[utoipa::path(
    get, path = "/v1/me", operation_id = "getMe", tag = "account",
    responses((status = 200, description = "The tenant of the key", body = Account)),
)]
pub(crate) async fn me(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
) -> Result<Json<Account>, Problem> {
    let store = &state.services.store;
    let found = store.tenant_get(caller.tenant).await?;
    let tenant = found.ok_or_else(|| Problem::plain(ProblemCode::Unauthorized))?;
    let today = OffsetDateTime::now_utc().date();
    let since = today.saturating_sub(Duration::days(DAYS - 1));
    // Until tomorrow: the days are by the database's clock, which may be ahead.
    let until = today.next_day().unwrap_or(today);
    let days = store.usage_get(caller.tenant, since, until).await?;
    let used = store.tenant_use(caller.tenant).await?;
    let (limits, shares) = (&state.settings.limits, &state.shares);
    Ok(Json(Account {
        tenant: tenant.id,
        name: tenant.name,
        role: caller.role,
        limits: AccountLimits {
            rate_per_second: tenant.limits.rate_per_second,
            rate_burst: tenant.limits.rate_burst,
            in_flight: tenant.limits.in_flight,
            requests_per_second: tenant.limits.requests_per_second,
            requests_burst: tenant.limits.requests_burst,
            upload_bytes_daily: tenant.limits.upload_bytes_daily,
            stored_bytes: tenant.limits.stored_bytes,
            attempts: tenant.limits.attempts,
            requests_at_once: shares.requests.each() as u64,
            streams: shares.watchers.each() as u64,
            waits: shares.waits.each() as u64,
            image_bytes: limits.upload_bytes as u64,
            image_pixels: limits.pixels_max,
            image_side: limits.side_max,
        },
        in_flight: tenant.in_flight,
        used,
        key_expires_at: caller.expires_at,
        usage: days.into_iter().map(usage).collect(),
    }))
}

fn usage(used: UsageDay) -> DayUsage {
    let (year, month, day) = used.day.to_calendar_date();
    DayUsage {
        day: format!("{year:04}-{:02}-{day:02}", u8::from(month)),
        edits: used.edits,
        gpu_seconds: used.gpu_ms as f64 / 1000.0,
        bytes: used.bytes,
        uploaded_bytes: used.uploaded,
        freed_bytes: used.freed,
    }
}
