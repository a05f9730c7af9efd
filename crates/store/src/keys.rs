//! API keys. Only their hash is stored.

use limekiln_jobs::{KeyId, TenantId};
use time::OffsetDateTime;

use crate::{Result, Secret, Store};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its tenant's images and edits.
    Tenant,
    /// That, and the admin routes.
    Admin,
}

/// A key that was just created. The secret is nowhere else.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its id.
    pub id: KeyId,
    /// `lk_...`; shown once.
    pub secret: Secret,
}

/// Who presented a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The tenant.
    pub tenant: TenantId,
    /// The key.
    pub key: KeyId,
    /// What the key may do.
    pub role: Role,
    /// The tenant's name.
    pub name: String,
}

/// A key as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// Its tenant.
    pub tenant: TenantId,
    /// What it may do.
    pub role: Role,
    /// What its owner calls it.
    pub label: String,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
}

impl Store {
    /// Creates a key.
    ///
    /// # Errors
    /// [`crate::Error::NoTenant`].
    pub async fn key_create(&self, tenant: TenantId, role: Role, label: &str) -> Result<NewKey> {
        let _ = (tenant, role, label);
        todo!()
    }

    /// Who this secret belongs to; `None` when it is unknown or revoked.
    pub async fn key_find(&self, secret: &str) -> Result<Option<Caller>> {
        let _ = secret;
        todo!()
    }

    /// Keys of one tenant, or of all, oldest first.
    pub async fn key_list(&self, tenant: Option<TenantId>) -> Result<Vec<Key>> {
        let _ = tenant;
        todo!()
    }

    /// Revokes a key; `false` when there is no such key that is not revoked.
    pub async fn key_revoke(&self, id: KeyId) -> Result<bool> {
        let _ = id;
        todo!()
    }
}
