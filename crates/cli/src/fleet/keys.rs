//! `limekiln keys`: makes, lists and revokes API keys, sets and shows limits, shows and replaces the secrets of webhooks.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use limekiln_jobs::KeyId;
use limekiln_jobs::api::{FormerSecret, Role, WebhookSecrets};
use limekiln_store::{Limits, Rotated, Store, Tenant};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::services;
use crate::args::{
    CreateArgs, Keys, LimitsArgs, ListArgs, RevokeArgs, TenantLimitsArgs, WebhookSecretArgs,
};
use crate::output::print;

/// Makes, lists or revokes keys, sets and shows limits, or shows and replaces a secret.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(command: &Keys) -> Result<()> {
    match command {
        Keys::Create(args) => create(args).await,
        Keys::List(args) => list(args).await,
        Keys::Revoke(args) => revoke(args).await,
        Keys::Limits(args) => limits(args).await,
        Keys::WebhookSecret(args) => webhook_secret(args).await,
    }
}

async fn create(args: &CreateArgs) -> Result<()> {
    let store = services::store(&args.database).await?;
    store.schema_check().await?;
    let tenant = tenant(&store, args).await?;
    let role = if args.admin {
        Role::Admin
    } else {
        Role::Tenant
    };
    let key = store
        .key_create_for(tenant.id, role, &args.label, args.expires)
        .await?;
    print(&if args.json {
        json!({ "key": key.secret.expose(), "id": key.id, "tenant": tenant.id }).to_string()
    } else {
        key.secret.expose().to_owned()
    });
    Ok(())
}

/// The tenant of that name, created if there is none, with the limits that were given in place of its own.
async fn tenant(store: &Store, args: &CreateArgs) -> Result<Tenant> {
    match store.tenant_by_name(&args.tenant).await? {
        None => {
            let limits = args.limits.over(&Limits::default());
            Ok(store.tenant_create(&args.tenant, &limits).await?)
        }
        Some(tenant) => with_limits(store, tenant, &args.limits).await,
    }
}

/// The tenant, once it has the limits that were given.
async fn with_limits(store: &Store, tenant: Tenant, args: &TenantLimitsArgs) -> Result<Tenant> {
    let limits = args.over(&tenant.limits);
    if limits == tenant.limits {
        return Ok(tenant);
    }
    let changed = store.tenant_limits_set(tenant.id, &limits).await?;
    changed.context("the tenant was removed meanwhile")
}

/// Sets the limits that are given, and shows all.
async fn limits(args: &LimitsArgs) -> Result<()> {
    let store = services::store(&args.database).await?;
    store.schema_check().await?;
    let found = store.tenant_by_name(&args.tenant).await?;
    let tenant = found.with_context(|| {
        format!(
            "there is no tenant {}: `limekiln keys create` makes one",
            args.tenant
        )
    })?;
    let tenant = with_limits(&store, tenant, &args.limits).await?;
    let used = store.tenant_use(tenant.id).await?;
    let limits = &tenant.limits;
    if args.json {
        print(&json!({ "tenant": tenant.name, "limits": limits, "used": used }).to_string());
        return Ok(());
    }
    for (what, limit, used) in [
        ("edits a second", limits.rate_per_second.to_string(), None),
        ("edits at once", limits.rate_burst.to_string(), None),
        (
            "edits in flight",
            limits.in_flight.to_string(),
            Some(used.in_flight.to_string()),
        ),
        (
            "requests a second, each key",
            limits.requests_per_second.to_string(),
            None,
        ),
        (
            "requests at once, each key",
            limits.requests_burst.to_string(),
            None,
        ),
        (
            "bytes uploaded today",
            bound(limits.upload_bytes_daily),
            Some(used.uploaded_bytes_today.to_string()),
        ),
        (
            "bytes stored",
            bound(limits.stored_bytes),
            Some(used.stored_bytes.to_string()),
        ),
        ("attempts of an edit", limits.attempts.to_string(), None),
    ] {
        let used = used.map_or(String::new(), |used| format!("  ({used} used)"));
        print(&format!("{what:28} {limit}{used}"));
    }
    Ok(())
}

fn bound(limit: Option<u64>) -> String {
    limit.map_or("unlimited".to_owned(), |limit| limit.to_string())
}

async fn list(args: &ListArgs) -> Result<()> {
    let store = services::store(&args.database).await?;
    store.schema_check().await?;
    let tenants = store.tenant_list().await?;
    for tenant in tenants {
        if args
            .tenant
            .as_ref()
            .is_some_and(|name| *name != tenant.name)
        {
            continue;
        }
        for key in store.key_list(Some(tenant.id)).await? {
            print(&if args.json {
                json!({
                    "id": key.id,
                    "tenant": tenant.name,
                    "role": key.role,
                    "label": key.label,
                    "revoked": key.revoked_at.is_some(),
                    "expires_at": text(key.expires_at),
                    "used_at": text(key.used_at),
                })
                .to_string()
            } else {
                let revoked = if key.revoked_at.is_some() {
                    "  revoked"
                } else {
                    ""
                };
                let used = text(key.used_at)
                    .map_or("  never used".to_owned(), |at| format!("  used {at}"));
                let expires =
                    text(key.expires_at).map_or(String::new(), |at| format!("  until {at}"));
                format!(
                    "{}  {}  {:?}  {}{used}{expires}{revoked}",
                    key.id, tenant.name, key.role, key.label
                )
            });
        }
    }
    Ok(())
}

/// A time as text, to the second (UTC).
fn text(at: Option<OffsetDateTime>) -> Option<String> {
    at.and_then(|at| at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok())
}

async fn revoke(args: &RevokeArgs) -> Result<()> {
    let store = services::store(&args.database).await?;
    store.schema_check().await?;
    if !store.key_revoke(KeyId::from(args.id)).await? {
        bail!(
            "there is no key {}: `limekiln keys list` shows them",
            args.id
        );
    }
    Ok(())
}

async fn webhook_secret(args: &WebhookSecretArgs) -> Result<()> {
    let store = services::store(&args.database).await?;
    store.schema_check().await?;
    let tenant = store.tenant_by_name(&args.tenant).await?;
    let tenant = tenant.with_context(|| {
        let name = &args.tenant;
        format!("there is no tenant {name}: `limekiln keys list` shows those that have keys")
    })?;
    if args.rotate {
        let overlap = Duration::from_secs(u64::from(args.overlap_hours) * 3600);
        let rotated = store.webhook_secret_rotate(tenant.id, overlap).await?;
        if let Some(Rotated::Early(_)) = rotated {
            bail!(
                "the secret was replaced a short while ago, and the one before still signs: without --rotate both are shown; \
                 --overlap-hours 0 ends the one before"
            );
        }
    }
    let secrets = store.webhook_secrets(tenant.id).await?;
    let secrets = secrets.context("the tenant was removed meanwhile")?;
    let shown = WebhookSecrets {
        secret: secrets.secret.expose().to_owned(),
        former: secrets.former.map(|(secret, until)| FormerSecret {
            secret: secret.expose().to_owned(),
            until,
        }),
    };
    if args.json {
        print(&serde_json::to_string(&shown)?);
        return Ok(());
    }
    print(&shown.secret);
    if let Some(former) = shown.former {
        let until = former.until.format(&Rfc3339)?;
        print(&format!("{}  until {until}", former.secret));
    }
    Ok(())
}
