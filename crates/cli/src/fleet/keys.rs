//! `limekiln keys`: makes, lists and revokes API keys.

use anyhow::{Result, bail};
use limekiln_jobs::KeyId;
use limekiln_jobs::api::Role;
use limekiln_store::{Limits, Store, Tenant};
use serde_json::json;

use super::services;
use crate::args::{CreateArgs, Keys, ListArgs, RevokeArgs};
use crate::output::print;

/// Makes, lists or revokes keys.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(command: &Keys) -> Result<()> {
    match command {
        Keys::Create(args) => create(args).await,
        Keys::List(args) => list(args).await,
        Keys::Revoke(args) => revoke(args).await,
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
    let key = store.key_create(tenant.id, role, &args.label).await?;
    print(&if args.json {
        json!({ "key": key.secret.expose(), "id": key.id, "tenant": tenant.id }).to_string()
    } else {
        key.secret.expose().to_owned()
    });
    Ok(())
}

/// The tenant of that name, created if there is none, with the limits that were given in place of its own.
async fn tenant(store: &Store, args: &CreateArgs) -> Result<Tenant> {
    let found = store.tenant_by_name(&args.tenant).await?;
    let mut limits = found
        .as_ref()
        .map_or_else(Limits::default, |tenant| tenant.limits.clone());
    if let Some(rate) = args.rate {
        limits.rate_per_second = rate;
    }
    if let Some(burst) = args.burst {
        limits.rate_burst = burst;
    }
    if let Some(in_flight) = args.in_flight {
        limits.in_flight = in_flight;
    }
    match found {
        None => Ok(store.tenant_create(&args.tenant, &limits).await?),
        Some(tenant) => {
            if limits != tenant.limits {
                store.tenant_limits_set(tenant.id, &limits).await?;
            }
            Ok(tenant)
        }
    }
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
                })
                .to_string()
            } else {
                let revoked = if key.revoked_at.is_some() {
                    "  revoked"
                } else {
                    ""
                };
                format!(
                    "{}  {}  {:?}  {}{revoked}",
                    key.id, tenant.name, key.role, key.label
                )
            });
        }
    }
    Ok(())
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
