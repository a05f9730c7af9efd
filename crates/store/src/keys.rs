//! API keys. Only their hash is stored.

use std::time::Duration;

use limekiln_jobs::api::Role;
use limekiln_jobs::{KeyId, TenantId};
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::row::{clean, get, id, name, whole_opt};
use crate::secret::random;
use crate::tenants::limits;
use crate::{Error, Limits, Result, Secret, Store};

/// A key that was just created. Its secret is kept nowhere else.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Names the key in lists and when it is revoked; nobody can ask for anything with it.
    pub id: KeyId,
    /// `lk_...`; shown once.
    pub secret: Secret,
}

/// Who presented a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// The tenant.
    pub tenant: TenantId,
    /// The key.
    pub key: KeyId,
    /// What the key may do.
    pub role: Role,
    /// The tenant's name.
    pub name: String,
    /// When the key stops working by itself.
    pub expires_at: Option<OffsetDateTime>,
    /// What the tenant may ask for.
    pub limits: Limits,
    /// Bytes that the tenant had stored when this was read; `None` where it may store any number.
    pub stored_bytes: Option<u64>,
}

/// A key as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Names the key in lists and when it is revoked; nobody can ask for anything with it.
    pub id: KeyId,
    /// The tenant it acts for.
    pub tenant: TenantId,
    /// What it may do.
    pub role: Role,
    /// The label its owner gave it.
    pub label: String,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it stops working by itself.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
    /// About when it was last used.
    pub used_at: Option<OffsetDateTime>,
}

impl Store {
    /// The label of a key; empty where it has none, or is gone.
    pub async fn key_label(&self, key: KeyId) -> Result<String> {
        let label = "select label from api_keys where id = $1";
        let row = self
            .row("key_label", sqlx::query(label).bind(key.uuid()))
            .await?;
        row.map_or_else(|| Ok(String::new()), |row| get(&row, "label"))
    }

    /// Creates a key that works until it is revoked.
    ///
    /// # Errors
    /// [`crate::Error::NoTenant`], also when the tenant is being erased.
    pub async fn key_create(&self, tenant: TenantId, role: Role, label: &str) -> Result<NewKey> {
        self.key_create_for(tenant, role, label, None).await
    }

    /// Creates a key that works for `lifetime`, by the database's clock.
    ///
    /// # Errors
    /// [`crate::Error::NoTenant`].
    pub async fn key_create_for(
        &self,
        tenant: TenantId,
        role: Role,
        label: &str,
        lifetime: Option<Duration>,
    ) -> Result<NewKey> {
        let secret = random("lk_")?;
        let id = KeyId::new();
        let created = self
            .count(
                "key_create",
                sqlx::query(
                    "insert into api_keys (id, tenant_id, hash, role, label, expires_at)
                    select $1, t.id, $3, $4, left($5, 200), now() + make_interval(secs => $6)
                    from tenants t
                    where t.id = $2 and t.erasing_at is null",
                )
                .bind(id.uuid())
                .bind(tenant.uuid())
                .bind(hash(secret.expose()))
                .bind(role.as_str())
                .bind(clean(label))
                .bind(lifetime.map(|lifetime| lifetime.as_secs_f64())),
            )
            .await?;
        if created == 0 {
            return Err(Error::NoTenant);
        }
        Ok(NewKey { id, secret })
    }

    /// Who this secret, of a key or of a sign-in, belongs to; `None` when it is unknown, revoked or expired.
    pub async fn key_find(&self, secret: &str) -> Result<Option<Caller>> {
        let row = self
            .row(
                "key_find",
                sqlx::query(include_str!("sql/key_find.sql")).bind(hash(secret)),
            )
            .await?;
        row.as_ref().map(caller).transpose()
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
                    expires_at: get(row, "expires_at")?,
                    revoked_at: get(row, "revoked_at")?,
                    used_at: get(row, "used_at")?,
                })
            })
            .collect()
    }

    /// Those of `keys` that still work.
    pub async fn keys_alive(&self, keys: &[KeyId]) -> Result<Vec<KeyId>> {
        let rows = self
            .rows(
                "keys_alive",
                sqlx::query(
                    "select id from api_keys
                    where id = any($1) and revoked_at is null and (expires_at is null or expires_at > now())",
                )
                .bind(uuids(keys)),
            )
            .await?;
        rows.iter().map(|row| id(row, "id")).collect()
    }

    /// Notes that these keys are in use.
    pub async fn keys_used(&self, keys: &[KeyId]) -> Result<()> {
        self.count(
            "keys_used",
            sqlx::query(
                "with used as materialized (
                    select id from api_keys where id = any($1) order by id for no key update
                )
                update api_keys k set used_at = now() from used u where k.id = u.id",
            )
            .bind(uuids(keys)),
        )
        .await?;
        Ok(())
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

fn uuids(keys: &[KeyId]) -> Vec<Uuid> {
    keys.iter().map(|key| key.uuid()).collect()
}

pub(crate) fn caller(row: &PgRow) -> Result<Caller> {
    Ok(Caller {
        tenant: id(row, "id")?,
        key: id(row, "key_id")?,
        role: name(row, "role")?,
        name: get(row, "name")?,
        expires_at: get(row, "expires_at")?,
        limits: limits(row)?,
        stored_bytes: whole_opt(row, "stored")?,
    })
}

pub(crate) fn hash(secret: &str) -> Vec<u8> {
    blake3::hash(secret.as_bytes()).as_bytes().to_vec()
}
