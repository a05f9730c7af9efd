//! Tenants as operators see them, and their limits.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::account::{Role, TenantUse};
use super::problem::Invalid;
use crate::ids::{KeyId, TenantId};

/// What a tenant may ask for. The first three are exact across gateways; each gateway counts requests for itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantLimits {
    /// Edits per second on average.
    #[schema(example = 20.0, minimum = 0.001, maximum = 1_000_000_000.0)]
    pub rate_per_second: f64,
    /// Edits that may be submitted at once after a pause.
    #[schema(example = 100, minimum = 1, maximum = 2_147_483_647)]
    pub rate_burst: u32,
    /// Edits that may be under way, queued ones included.
    #[schema(example = 1000, maximum = 2_147_483_647)]
    pub in_flight: u32,
    /// Requests per second of each key on average.
    #[schema(example = 200.0, minimum = 0.001, maximum = 1_000_000_000.0)]
    pub requests_per_second: f64,
    /// Requests of each key that may come at once after a pause.
    #[schema(example = 1000, minimum = 1, maximum = 2_147_483_647)]
    pub requests_burst: u32,
    /// Bytes of new pictures that may be uploaded on one day (UTC); null where there is no bound.
    #[schema(example = 10_737_418_240_i64, maximum = 9_007_199_254_740_991_i64)]
    pub upload_bytes_daily: Option<u64>,
    /// Bytes of pictures and results that may be stored at a time; null where there is no bound.
    #[schema(example = 107_374_182_400_i64, maximum = 9_007_199_254_740_991_i64)]
    pub stored_bytes: Option<u64>,
    /// Attempts that an edit may have at most; a request for more gets these.
    #[serde(default = "attempts_default")]
    #[schema(example = 5, minimum = 1, maximum = 10)]
    pub attempts: u16,
}

const fn attempts_default() -> u16 {
    5
}

impl Default for TenantLimits {
    fn default() -> Self {
        Self {
            rate_per_second: 20.0,
            rate_burst: 100,
            in_flight: 1_000,
            requests_per_second: 200.0,
            requests_burst: 1_000,
            upload_bytes_daily: None,
            stored_bytes: None,
            attempts: attempts_default(),
        }
    }
}

impl TenantLimits {
    const COUNT_MAX: u32 = i32::MAX.unsigned_abs();
    /// What every reader of JSON reads exactly.
    const BYTES_MAX: u64 = (1 << 53) - 1;

    /// The largest there are, for tests and benchmarks.
    pub const UNLIMITED: Self = Self {
        rate_per_second: 1e9,
        rate_burst: Self::COUNT_MAX,
        in_flight: Self::COUNT_MAX,
        requests_per_second: 1e9,
        requests_burst: Self::COUNT_MAX,
        upload_bytes_daily: None,
        stored_bytes: None,
        attempts: 10,
    };

    /// The first limit that can't be, and what it must be.
    ///
    /// # Errors
    ///
    /// That one.
    pub fn check(&self) -> Result<(), Invalid> {
        let bursts = [
            ("rate_burst", self.rate_burst),
            ("requests_burst", self.requests_burst),
        ];
        for (field, rate) in [
            ("rate_per_second", self.rate_per_second),
            ("requests_per_second", self.requests_per_second),
        ] {
            if !(0.001..=1e9).contains(&rate) {
                return Err(Invalid::new(field, "must be from 0.001 to a billion"));
            }
        }
        for (field, burst) in bursts {
            if !(1..=Self::COUNT_MAX).contains(&burst) {
                return Err(Invalid::new(field, "must be from 1 to 2147483647"));
            }
        }
        if self.in_flight > Self::COUNT_MAX {
            return Err(Invalid::new("in_flight", "must be at most 2147483647"));
        }
        for (field, bytes) in [
            ("upload_bytes_daily", self.upload_bytes_daily),
            ("stored_bytes", self.stored_bytes),
        ] {
            if bytes.is_some_and(|bytes| bytes > Self::BYTES_MAX) {
                return Err(Invalid::new(field, "must be at most 9007199254740991"));
            }
        }
        if !(1..=10).contains(&self.attempts) {
            return Err(Invalid::new("attempts", "must be from 1 to 10"));
        }
        Ok(())
    }
}

/// Which tenants to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TenantQuery {
    /// Number of tenants on a page. 20 by default.
    #[param(minimum = 1, maximum = 100, example = 20)]
    pub limit: Option<u32>,
    /// Where the page starts: `next` of the page before. By default at the oldest.
    #[param(value_type = Option<TenantId>)]
    pub cursor: Option<String>,
}

/// A page of tenants, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantPage {
    /// The tenants.
    pub tenants: Vec<TenantView>,
    /// `cursor` of the next page; null on the last.
    pub next: Option<TenantId>,
}

/// A tenant as operators see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantView {
    /// Id of the tenant.
    pub id: TenantId,
    /// Name of the tenant.
    #[schema(example = "acme")]
    pub name: String,
    /// What it may ask for.
    pub limits: TenantLimits,
    /// What it has used of that.
    pub used: TenantUse,
    /// Its keys, oldest first.
    pub keys: Vec<KeyView>,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A key as operators see it: never its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// Id of the key.
    pub id: KeyId,
    /// What the key may do.
    pub role: Role,
    /// What the key is for, in its maker's words.
    pub label: String,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it stops working by itself; null where it does not.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked; null where it was not.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
    /// About when it was last used, to the minute; null where it never was.
    #[serde(with = "time::serde::rfc3339::option")]
    pub used_at: Option<OffsetDateTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_can_not_be_are_named() {
        assert_eq!(TenantLimits::default().check(), Ok(()));
        assert_eq!(TenantLimits::UNLIMITED.check(), Ok(()));
        let base = TenantLimits::default;
        for (field, limits) in [
            (
                "rate_per_second",
                TenantLimits {
                    rate_per_second: f64::NAN,
                    ..base()
                },
            ),
            (
                "requests_per_second",
                TenantLimits {
                    requests_per_second: 0.0,
                    ..base()
                },
            ),
            (
                "rate_burst",
                TenantLimits {
                    rate_burst: 0,
                    ..base()
                },
            ),
            (
                "requests_burst",
                TenantLimits {
                    requests_burst: u32::MAX,
                    ..base()
                },
            ),
            (
                "in_flight",
                TenantLimits {
                    in_flight: u32::MAX,
                    ..base()
                },
            ),
            (
                "upload_bytes_daily",
                TenantLimits {
                    upload_bytes_daily: Some(u64::MAX),
                    ..base()
                },
            ),
            (
                "stored_bytes",
                TenantLimits {
                    stored_bytes: Some(1 << 53),
                    ..base()
                },
            ),
        ] {
            assert_eq!(limits.check().unwrap_err().field, field);
        }
    }
}
