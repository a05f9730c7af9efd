//! Who is signed in to the page: cookies that stand for a key, and links that work once.

use std::time::Duration;

use limekiln_jobs::KeyId;

use crate::keys::{caller, hash};
use crate::secret::random;
use crate::{Caller, Result, Secret, Store};

/// How many sign-ins of one key are kept besides the newest: older ones end.
const MOST: i64 = 99;

impl Store {
    /// Signs in with a key for `lifetime`. [`Store::key_find`] knows the secret as long as the key works.
    pub async fn sign_in(&self, key: KeyId, lifetime: Duration) -> Result<Secret> {
        self.sign_in_create("ls_", key, lifetime, false).await
    }

    /// A secret that [`Store::sign_in_spend`] takes once.
    pub async fn sign_in_link(&self, key: KeyId, lifetime: Duration) -> Result<Secret> {
        self.sign_in_create("ll_", key, lifetime, true).await
    }

    async fn sign_in_create(
        &self,
        prefix: &str,
        key: KeyId,
        lifetime: Duration,
        once: bool,
    ) -> Result<Secret> {
        let secret = random(prefix)?;
        self.count(
            "sign_in_create",
            sqlx::query(include_str!("sql/sign_in_create.sql"))
                .bind(hash(secret.expose()))
                .bind(key.uuid())
                .bind(once)
                .bind(lifetime.as_secs_f64())
                .bind(MOST),
        )
        .await?;
        Ok(secret)
    }

    /// Who a link's secret belongs to; `None` when it is unknown, was used before or is over, or its key is. Nobody can use it again.
    pub async fn sign_in_spend(&self, secret: &str) -> Result<Option<Caller>> {
        let row = self
            .row(
                "sign_in_spend",
                sqlx::query(include_str!("sql/sign_in_spend.sql")).bind(hash(secret)),
            )
            .await?;
        row.as_ref().map(caller).transpose()
    }

    /// Signs out. What is signed out already is no error.
    pub async fn sign_out(&self, secret: &str) -> Result<()> {
        self.count(
            "sign_out",
            sqlx::query("delete from sign_ins where hash = $1").bind(hash(secret)),
        )
        .await?;
        Ok(())
    }
}
