//! API keys. Only their hash is stored.

use limekiln_jobs::api::Role;
use limekiln_jobs::{KeyId, TenantId};
use time::OffsetDateTime;

use crate::row::{clean, get, id, name};
use crate::secret::random;
use crate::{Error, Result, Secret, Store};

/// A key that was just created. Its secret is kept nowhere else.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The key's id.
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
    /// The key's id.
    pub id: KeyId,
    /// The tenant it acts for.
    pub tenant: TenantId,
    /// What it may do.
    pub role: Role,
    /// The label its owner gave it.
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
        let secret = random("lk_")?;
        let id = KeyId::new();
        let created = self
            .count(
                "key_create",
                sqlx::query(
                    "insert into api_keys (id, tenant_id, hash, role, label)
                    select $1, t.id, $3, $4, left($5, 200) from tenants t where t.id = $2",
                )
                .bind(id.uuid())
                .bind(tenant.uuid())
                .bind(hash(secret.expose()))
                .bind(role.as_str())
                .bind(clean(label)),
            )
            .await?;
        if created == 0 {
            return Err(Error::NoTenant);
        }
        Ok(NewKey { id, secret })
    }

    /// Who this secret belongs to; `None` when it is unknown or revoked.
    pub async fn key_find(&self, secret: &str) -> Result<Option<Caller>> {
        let row = self
            .row(
                "key_find",
                sqlx::query(
                    "select k.id, k.tenant_id, k.role, t.name
                    from api_keys k
                    join tenants t on t.id = k.tenant_id
                    where k.hash = $1 and k.revoked_at is null",
                )
                .bind(hash(secret)),
            )
            .await?;
        row.map(|row| {
            Ok(Caller {
                tenant: id(&row, "tenant_id")?,
                key: id(&row, "id")?,
                role: name(&row, "role")?,
                name: get(&row, "name")?,
            })
        })
        .transpose()
    }

    /// Keys of one tenant, or of all, oldest first.
    pub async fn key_list(&self, tenant: Option<TenantId>) -> Result<Vec<Key>> {
        let rows = self
            .rows(
                "key_list",
                sqlx::query(
                    "select * from api_keys where $1::uuid is null or tenant_id = $1 order by id",
                )
                .bind(tenant.map(TenantId::uuid)),
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Key {
                    id: id(row, "id")?,
                    tenant: id(row, "tenant_id")?,
                    role: name(row, "role")?,
                    label: get(row, "label")?,
                    created_at: get(row, "created_at")?,
                    revoked_at: get(row, "revoked_at")?,
                })
            })
            .collect()
    }

    /// Revokes a key; `false` when there is no such key that is not revoked.
    pub async fn key_revoke(&self, id: KeyId) -> Result<bool> {
        let revoked = self
            .count(
                "key_revoke",
                sqlx::query(
                    "update api_keys set revoked_at = now() where id = $1 and revoked_at is null",
                )
                .bind(id.uuid()),
            )
            .await?;
        Ok(revoked > 0)
    }
}

fn hash(secret: &str) -> Vec<u8> {
    blake3::hash(secret.as_bytes()).as_bytes().to_vec()
}
