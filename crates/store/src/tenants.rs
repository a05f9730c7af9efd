//! Tenants and their limits.

use limekiln_jobs::TenantId;
use time::OffsetDateTime;

use crate::{Result, Secret, Store};

/// What a tenant may ask for; exact across gateways.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Edits a second, in the long run.
    pub rate_per_second: f64,
    /// Edits at once, after a pause.
    pub rate_burst: u32,
    /// Edits that have not ended.
    pub in_flight: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rate_per_second: 20.0, rate_burst: 100, in_flight: 1_000 }
    }
}

/// A tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its unique name.
    pub name: String,
    /// Its limits.
    pub limits: Limits,
    /// Its edits that have not ended.
    pub in_flight: u32,
    /// When it was created.
    pub created_at: OffsetDateTime,
}

impl Store {
    /// Creates a tenant.
    ///
    /// # Errors
    /// [`crate::Error::NameTaken`]; [`crate::Error::Invalid`] for a name of 0 or more than 100 characters, or limits out of range.
    pub async fn tenant_create(&self, name: &str, limits: &Limits) -> Result<Tenant> {
        let _ = (name, limits);
        todo!()
    }

    /// The tenant of this name.
    pub async fn tenant_by_name(&self, name: &str) -> Result<Option<Tenant>> {
        let _ = name;
        todo!()
    }

    /// The tenant of this id.
    pub async fn tenant_get(&self, id: TenantId) -> Result<Option<Tenant>> {
        let _ = id;
        todo!()
    }

    /// All tenants, by name.
    pub async fn tenant_list(&self) -> Result<Vec<Tenant>> {
        todo!()
    }

    /// Replaces a tenant's limits. `None`: there is no such tenant.
    pub async fn tenant_limits_set(&self, id: TenantId, limits: &Limits) -> Result<Option<Tenant>> {
        let _ = (id, limits);
        todo!()
    }

    /// What the tenant's webhooks are signed with.
    pub async fn tenant_webhook_secret(&self, id: TenantId) -> Result<Option<Secret>> {
        let _ = id;
        todo!()
    }
}
