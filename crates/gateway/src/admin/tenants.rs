//! `/v1/admin/tenants`: limits, use and keys of tenants.

use axum::{Json, extract};
use limekiln_jobs::TenantId;
use limekiln_jobs::api::{KeyView, TenantLimits, TenantPage, TenantQuery, TenantView};
use limekiln_store::{Key, Tenant};

use crate::auth::Admin;
use crate::params::{self, PathId, Query};
use crate::problem::{Problem, ProblemCode};
use crate::{State, body};

/// List tenants, oldest first
#[utoipa::path(
    get, path = "/v1/admin/tenants", operation_id = "listTenants", tag = "admin",
    params(TenantQuery),
    responses((status = 200, description = "A page of tenants", body = TenantPage)),
)]
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    _: Admin,
    Query(query): Query<TenantQuery>,
) -> Result<Json<TenantPage>, Problem> {
    let limit = params::limit(query.limit)?;
    let cursor = query.cursor.map(|text| params::id("cursor", &text));
    let store = &state.services.store;
    let mut found = store.tenant_page(cursor.transpose()?, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().map(|last| last.id).filter(|_| more);
    let mut tenants = Vec::with_capacity(found.len());
    for tenant in found {
        tenants.push(view(&state, tenant).await?);
    }
    Ok(Json(TenantPage { tenants, next }))
}

/// Set the limits of a tenant
///
/// All of them are replaced. Gateways follow within seconds.
#[utoipa::path(
    put, path = "/v1/admin/tenants/{id}/limits", operation_id = "setTenantLimits", tag = "admin",
    params(("id" = TenantId, Path, description = "Id of the tenant")),
    request_body = TenantLimits,
    responses((status = 200, description = "The tenant with its new limits", body = TenantView)),
    extensions(("x-problems" = json!([
        ProblemCode::TenantNotFound, ProblemCode::JsonInvalid, ProblemCode::RequestInvalid,
    ]))),
)]
pub(crate) async fn limits_set(
    extract::State(state): extract::State<State>,
    _: Admin,
    PathId(id): PathId<TenantId>,
    body::Json(limits): body::Json<TenantLimits>,
) -> Result<Json<TenantView>, Problem> {
    limits
        .check()
        .map_err(|refused| Problem::invalid(vec![refused]))?;
    let changed = state.services.store.tenant_limits_set(id, &limits).await?;
    let tenant = changed.ok_or_else(|| Problem::plain(ProblemCode::TenantNotFound))?;
    Ok(Json(view(&state, tenant).await?))
}

async fn view(state: &State, tenant: Tenant) -> Result<TenantView, Problem> {
    let store = &state.services.store;
    let keys = store.key_list(Some(tenant.id)).await?;
    Ok(TenantView {
        id: tenant.id,
        name: tenant.name,
        limits: tenant.limits,
        used: store.tenant_use(tenant.id).await?,
        keys: keys.into_iter().map(key).collect(),
        created_at: tenant.created_at,
    })
}

fn key(key: Key) -> KeyView {
    KeyView {
        id: key.id,
        role: key.role,
        label: key.label,
        created_at: key.created_at,
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
        used_at: key.used_at,
    }
}
