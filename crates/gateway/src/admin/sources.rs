//! `/v1/admin/tenants/{id}/sources`: where pictures of a tenant may be fetched from.

use axum::http::StatusCode;
use axum::{Json, extract};
use limekiln_jobs::api::{SourceList, SourceRequest, SourceView};
use limekiln_jobs::{SourceId, TenantId};
use limekiln_store::{Error, SOURCES_MAX, Source};

use crate::auth::Admin;
use crate::params::PathId;
use crate::problem::{Problem, ProblemCode};
use crate::{State, body, fetching};

/// List the places that a tenant's pictures may be fetched from
#[utoipa::path(
    get, path = "/v1/admin/tenants/{id}/sources", operation_id = "listSources", tag = "admin",
    params(("id" = TenantId, Path, description = "Id of the tenant")),
    responses((status = 200, description = "The places", body = SourceList)),
    extensions(("x-problems" = json!([ProblemCode::TenantNotFound]))),
)]
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    _: Admin,
    PathId(id): PathId<TenantId>,
) -> Result<Json<SourceList>, Problem> {
    let found = match state.services.store.sources(id).await {
        Err(Error::NoTenant) => return Err(Problem::plain(ProblemCode::TenantNotFound)),
        found => found?,
    };
    Ok(Json(SourceList {
        sources: found.into_iter().map(view).collect(),
    }))
}

/// Allow a place
///
/// Pictures that rows of the tenant's catalogs name by an address in it are fetched from now on: of the public internet only, whatever
/// is allowed. A bucket is read with the credentials that are given here. The same place again replaces what was said of it.
#[utoipa::path(
    post, path = "/v1/admin/tenants/{id}/sources", operation_id = "allowSource", tag = "admin",
    params(("id" = TenantId, Path, description = "Id of the tenant")),
    request_body = SourceRequest,
    responses((status = 200, description = "The place", body = SourceView)),
    extensions(("x-problems" = json!([
        ProblemCode::TenantNotFound, ProblemCode::JsonInvalid, ProblemCode::RequestInvalid,
    ]))),
)]
pub(crate) async fn allow(
    extract::State(state): extract::State<State>,
    _: Admin,
    PathId(id): PathId<TenantId>,
    body::Json(request): body::Json<SourceRequest>,
) -> Result<Json<SourceView>, Problem> {
    let place = request
        .check()
        .map_err(|error| Problem::invalid(vec![error]))?;
    if fetching::is_own(&state, &place, request.endpoint.as_ref()) {
        let says = "is this service's own bucket, which holds everybody's pictures";
        return Err(Problem::field("place", says));
    }
    let store = &state.services.store;
    let source = Source::asked(request, &place);
    if let Some(allowed) = store.source_put(id, &source).await? {
        return Ok(Json(view(allowed)));
    }
    match store.tenant_get(id).await? {
        Some(tenant) if tenant.erasing_at.is_none() => {
            let says = format!("is one too many: a tenant has at most {SOURCES_MAX} places");
            Err(Problem::field("place", says))
        }
        _ => Err(Problem::plain(ProblemCode::TenantNotFound)),
    }
}

/// Allow a place no more
///
/// Pictures that were fetched stay; rows whose pictures were not fail. Again is no error.
#[utoipa::path(
    delete, path = "/v1/admin/sources/{id}", operation_id = "forbidSource", tag = "admin",
    params(("id" = SourceId, Path, description = "Id of the place")),
    responses((status = 204, description = "The place is not allowed any more")),
)]
pub(crate) async fn forbid(
    extract::State(state): extract::State<State>,
    _: Admin,
    PathId(id): PathId<SourceId>,
) -> Result<StatusCode, Problem> {
    state.services.store.source_delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(source: Source) -> SourceView {
    SourceView {
        id: source.id,
        place: source.place,
        endpoint: source.endpoint,
        region: source.region,
        access_key: source.credentials.map(|(key, _)| key),
        created_at: source.created_at,
    }
}
