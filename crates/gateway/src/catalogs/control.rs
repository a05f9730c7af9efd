//! What is done to a catalog as a whole.

use axum::Json;
use axum::extract;
use limekiln_jobs::BatchId;
use limekiln_jobs::api::{CatalogView, PriorityRequest, RowsChanged};

use super::not_found;
use crate::auth::Tenant;
use crate::params::PathId;
use crate::problem::{Problem, ProblemCode};
use crate::{State, body};

/// Rows that one statement tries again.
const RETRY_ROWS: u32 = 10_000;
/// Statements of one request, at most.
const RETRY_ROUNDS: u32 = 1_000;

/// Seal a catalog
///
/// It takes no more rows, and ends when the last of those that are there has. Again is no error.
#[utoipa::path(
    post, path = "/v1/catalogs/{id}/seal", operation_id = "sealCatalog", tag = "catalogs",
    params(("id" = BatchId, Path, description = "Id of the catalog")),
    responses((status = 200, description = "The catalog", body = CatalogView)),
    extensions(("x-problems" = json!([ProblemCode::CatalogNotFound]))),
)]
pub(crate) async fn seal(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
) -> Result<Json<CatalogView>, Problem> {
    let found = state.services.store.catalog_seal(caller.tenant, id).await?;
    state.services.broker.wake();
    found.map(Json).ok_or_else(not_found)
}

/// Pause a catalog
///
/// No more rows are started until it is resumed. Those that are under way go on.
#[utoipa::path(
    post, path = "/v1/catalogs/{id}/pause", operation_id = "pauseCatalog", tag = "catalogs",
    params(("id" = BatchId, Path, description = "Id of the catalog")),
    responses((status = 200, description = "The catalog", body = CatalogView)),
    extensions(("x-problems" = json!([ProblemCode::CatalogNotFound]))),
)]
pub(crate) async fn pause(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
) -> Result<Json<CatalogView>, Problem> {
    let store = &state.services.store;
    let found = store.catalog_pause(caller.tenant, id, true).await?;
    found.map(Json).ok_or_else(not_found)
}

/// Resume a catalog
#[utoipa::path(
    post, path = "/v1/catalogs/{id}/resume", operation_id = "resumeCatalog", tag = "catalogs",
    params(("id" = BatchId, Path, description = "Id of the catalog")),
    responses((status = 200, description = "The catalog", body = CatalogView)),
    extensions(("x-problems" = json!([ProblemCode::CatalogNotFound]))),
)]
pub(crate) async fn resume(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
) -> Result<Json<CatalogView>, Problem> {
    let store = &state.services.store;
    let found = store.catalog_pause(caller.tenant, id, false).await?;
    state.services.broker.wake();
    found.map(Json).ok_or_else(not_found)
}

/// Cancel a catalog
///
/// Rows that wait are cancelled with this answer, edits that are under way within seconds. There is no way back; results that are there
/// stay.
#[utoipa::path(
    post, path = "/v1/catalogs/{id}/cancel", operation_id = "cancelCatalog", tag = "catalogs",
    params(("id" = BatchId, Path, description = "Id of the catalog")),
    responses((status = 200, description = "The catalog", body = CatalogView)),
    extensions(("x-problems" = json!([ProblemCode::CatalogNotFound]))),
)]
pub(crate) async fn cancel(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
) -> Result<Json<CatalogView>, Problem> {
    let store = &state.services.store;
    let found = store.catalog_cancel(caller.tenant, id).await?;
    state.services.broker.wake();
    found.map(Json).ok_or_else(not_found)
}

/// Try failed rows again
#[utoipa::path(
    post, path = "/v1/catalogs/{id}/retry-failed", operation_id = "retryCatalog", tag = "catalogs",
    params(("id" = BatchId, Path, description = "Id of the catalog")),
    responses((status = 200, description = "How many rows wait for their turn again", body = RowsChanged)),
    extensions(("x-problems" = json!([ProblemCode::CatalogNotFound, ProblemCode::CatalogSealed]))),
)]
pub(crate) async fn retry(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
) -> Result<Json<RowsChanged>, Problem> {
    let store = &state.services.store;
    let mut rows = 0;
    for _ in 0..RETRY_ROUNDS {
        let again = store
            .catalog_retry_failed(caller.tenant, id, RETRY_ROWS)
            .await?;
        let Some(again) = again else {
            let found = store.catalog_get(caller.tenant, id).await?;
            // Of one that was cancelled no row waits again.
            return Err(
                found.map_or_else(not_found, |_| Problem::plain(ProblemCode::CatalogSealed))
            );
        };
        rows += again;
        if again < u64::from(RETRY_ROWS) {
            break;
        }
    }
    state.services.broker.wake();
    Ok(Json(RowsChanged { rows }))
}

/// Give a catalog another priority
#[utoipa::path(
    post, path = "/v1/catalogs/{id}/priority", operation_id = "prioritizeCatalog", tag = "catalogs",
    params(("id" = BatchId, Path, description = "Id of the catalog")),
    request_body = PriorityRequest,
    responses((status = 200, description = "The catalog", body = CatalogView)),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::CatalogNotFound,
    ]))),
)]
pub(crate) async fn priority(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
    body::Json(PriorityRequest { priority }): body::Json<PriorityRequest>,
) -> Result<Json<CatalogView>, Problem> {
    if !(-100..=100).contains(&priority) {
        return Err(Problem::field("priority", "must be from -100 to 100"));
    }
    let store = &state.services.store;
    let found = store.catalog_priority(caller.tenant, id, priority).await?;
    found.map(Json).ok_or_else(not_found)
}
