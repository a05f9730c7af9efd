//! Bytes that a tenant may upload on a day, and have stored. A tenant without such limits costs no query. Uploads that come at
//! once are not counted against each other, so both limits can be passed by what one moment brings.

use limekiln_jobs::TenantId;
use limekiln_store::{Caller, Limits};
use time::{Duration, OffsetDateTime, Time};

use crate::State;
use crate::keys::Quota;
use crate::problem::{Problem, ProblemCode};

/// Refuses an upload of so many bytes that the tenant has no room for.
pub(crate) async fn upload(state: &State, caller: &Caller, bytes: u64) -> Result<(), Problem> {
    upload_of(state, caller.tenant, &caller.limits, bytes).await
}

/// The same of a tenant for whom work is done when nobody asks.
pub(crate) async fn upload_of(
    state: &State,
    tenant: TenantId,
    limits: &Limits,
    bytes: u64,
) -> Result<(), Problem> {
    if limits.upload_bytes_daily.is_none() && limits.stored_bytes.is_none() {
        return Ok(());
    }
    let used = state.services.store.tenant_use(tenant).await?;
    if let Some(limit) = limits.upload_bytes_daily
        && used.uploaded_bytes_today.saturating_add(bytes) > limit
    {
        let remaining = limit.saturating_sub(used.uploaded_bytes_today);
        let detail =
            format!("{remaining} of the {limit} bytes of today are left: wait for tomorrow (UTC)");
        let reset_s = until_tomorrow_s(OffsetDateTime::now_utc());
        let quota = Quota {
            limit,
            remaining,
            reset_s,
        };
        return Err(Problem::new(ProblemCode::UploadLimit, detail).limited(quota, reset_s));
    }
    room(limits.stored_bytes, used.stored_bytes, bytes)
}

/// Refuses an edit whose result the tenant has no room for. What is stored was read with the key, seconds ago at most.
pub(crate) fn edit(caller: &Caller) -> Result<(), Problem> {
    room(
        caller.limits.stored_bytes,
        caller.stored_bytes.unwrap_or(0),
        1,
    )
}

fn room(limit: Option<u64>, stored: u64, more: u64) -> Result<(), Problem> {
    match limit {
        Some(limit) if stored.saturating_add(more) > limit => Err(Problem::new(
            ProblemCode::StorageLimit,
            format!("{stored} of {limit} bytes are stored: delete images and edits"),
        )),
        _ => Ok(()),
    }
}

/// Seconds until the next day, at least one.
fn until_tomorrow_s(now: OffsetDateTime) -> u64 {
    let midnight = now.replace_time(Time::MIDNIGHT) + Duration::DAY;
    (midnight - now).whole_seconds().unsigned_abs() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tomorrow_begins_at_midnight() {
        let noon = OffsetDateTime::UNIX_EPOCH + Duration::hours(12);
        assert_eq!(until_tomorrow_s(noon), 12 * 3600 + 1);
        assert_eq!(until_tomorrow_s(OffsetDateTime::UNIX_EPOCH), 24 * 3600 + 1);
    }
}
