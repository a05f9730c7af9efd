//! Whether a gateway can work.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the gateway can serve requests, and which of its dependencies it can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Whether every check succeeded.
    pub ready: bool,
    /// One check for each dependency.
    pub checks: Vec<Check>,
}

/// Whether one dependency can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Name of the dependency: `postgres`, `broker` or `blobs`; `gateway` while it shuts down.
    #[schema(value_type = String, example = "postgres")]
    pub name: Cow<'static, str>,
    /// Whether it can be used.
    pub ok: bool,
    /// Why it can't be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    /// A check that found `detail` wrong; a success without it.
    pub fn new(name: &'static str, detail: Option<String>) -> Self {
        Self {
            name: name.into(),
            ok: detail.is_none(),
            detail,
        }
    }
}
