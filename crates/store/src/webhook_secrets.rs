//! The secrets that a tenant's webhooks are signed with.

use std::time::Duration;

use limekiln_jobs::TenantId;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;

use crate::row::get;
use crate::secret::random_base64;
use crate::{Result, Secret, Store};

/// The secrets that a tenant's webhooks are signed with, each as `whsec_` and the key in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSecrets {
    /// The newest.
    pub secret: Secret,
    /// The one before, and how long deliveries are signed with it too.
    pub former: Option<(Secret, OffsetDateTime)>,
}

/// The answer to a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// There is a new secret.
    Done(WebhookSecrets),
    /// The former secret of an earlier rotation still signs; nothing was changed.
    Early(WebhookSecrets),
}

impl Store {
    /// The secrets that the tenant's webhooks are signed with; `None` when there is no such tenant.
    pub async fn webhook_secrets(&self, tenant: TenantId) -> Result<Option<WebhookSecrets>> {
        let row = self
            .row(
                "webhook_secrets",
                sqlx::query(
                    "select t.webhook_secret, t.webhook_secret_former_until,
                        case when t.webhook_secret_former_until > now() then t.webhook_secret_former end
                            as webhook_secret_former
                    from tenants t
                    where t.id = $1",
                )
                .bind(tenant.uuid()),
            )
            .await?;
        row.as_ref().map(secrets).transpose()
    }

    /// Makes a new secret; deliveries are signed with the one before as well for `overlap`, by the database's clock. With
    /// no overlap all former ones end at once. `None`: there is no such tenant.
    pub async fn webhook_secret_rotate(
        &self,
        tenant: TenantId,
        overlap: Duration,
    ) -> Result<Option<Rotated>> {
        let secret = random_base64("whsec_")?;
        let row = self
            .row(
                "webhook_secret_rotate",
                sqlx::query(include_str!("sql/webhook_secret_rotate.sql"))
                    .bind(tenant.uuid())
                    .bind(secret.expose())
                    .bind(overlap.as_secs_f64()),
            )
            .await?;
        if let Some(row) = row {
            return Ok(Some(Rotated::Done(secrets(&row)?)));
        }
        Ok(self.webhook_secrets(tenant).await?.map(Rotated::Early))
    }

    /// Forgets secrets that no longer sign; returns how many those were.
    pub async fn webhook_secrets_prune(&self) -> Result<u64> {
        self.count(
            "webhook_secrets_prune",
            sqlx::query(
                "update tenants
                set webhook_secret_former = null, webhook_secret_former_until = null
                where webhook_secret_former_until <= now()",
            ),
        )
        .await
    }
}

fn secrets(row: &PgRow) -> Result<WebhookSecrets> {
    let former: Option<String> = get(row, "webhook_secret_former")?;
    let until: Option<OffsetDateTime> = get(row, "webhook_secret_former_until")?;
    Ok(WebhookSecrets {
        secret: Secret::new(get::<String>(row, "webhook_secret")?),
        former: former.map(Secret::new).zip(until),
    })
}
