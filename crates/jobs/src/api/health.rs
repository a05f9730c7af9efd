//! Whether a process can work.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a process can do its work. On the public port that is all; the status port says more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Whether the process can work: it is up, is not shutting down, and Postgres answers.
    pub ready: bool,
    /// Whether something else can't be used, so that what needs it fails or waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<bool>,
    /// One check for each service that the process depends on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

impl Readiness {
    /// What strangers are told: nothing but whether it is ready.
    pub fn brief(ready: bool) -> Self {
        Self {
            ready,
            degraded: None,
            checks: Vec::new(),
        }
    }

    /// All of it: ready as far as what is required succeeded, degraded as far as the rest did not.
    pub fn new(checks: Vec<Check>) -> Self {
        let ready = checks.iter().all(|check| check.ok || !check.required);
        let degraded = checks.iter().any(|check| !check.ok && !check.required);
        Self {
            ready,
            degraded: Some(degraded),
            checks,
        }
    }
}

/// Whether one service can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What was checked: `process`, `postgres`, `broker` or `blobs`; `disk` where one was full lately.
    #[schema(value_type = String, example = "postgres")]
    pub name: Cow<'static, str>,
    /// Whether nothing works without it.
    pub required: bool,
    /// Whether it can be used.
    pub ok: bool,
    /// Why it can't be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    /// A check of what nothing works without, which found `detail` wrong; a success without it.
    pub fn required(name: &'static str, detail: Option<String>) -> Self {
        Self {
            name: name.into(),
            required: true,
            ok: detail.is_none(),
            detail,
        }
    }

    /// A check of what only some of the work needs.
    pub fn optional(name: &'static str, detail: Option<String>) -> Self {
        Self {
            required: false,
            ..Self::required(name, detail)
        }
    }
}
