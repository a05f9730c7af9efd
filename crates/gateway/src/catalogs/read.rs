//! Catalogs made, shown and listed.

use axum::Json;
use axum::extract;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use limekiln_jobs::api::{CatalogPage, CatalogQuery, CatalogRequest, CatalogView};
use limekiln_jobs::{BatchId, Digest};
use limekiln_store::{CatalogCreated, NewCatalog};

use super::{not_found, request};
use crate::auth::Tenant;
use crate::params::{self, IdempotencyKey, PathId, Query};
use crate::problem::{Problem, ProblemCode};
use crate::{State, body};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const NAME_CHARS_MAX: usize = 200;

/// Create a catalog
///
/// A catalog is many edits that are asked for at once. Send its rows to `POST /v1/catalogs/{id}/rows`, then seal it. Rows are started a
/// few at a time, in the class `bulk`; they count as edits under way, and the tenant's rate does not bind them.
#[utoipa::path(
    post, path = "/v1/catalogs", operation_id = "createCatalog", tag = "catalogs",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send a request again: the same key and body get the same catalog",
        min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$")),
    request_body = CatalogRequest,
    responses((status = 201, description = "The catalog was created, or was created before with this key", body = CatalogView, headers(
        ("Location" = String, description = "Path of the catalog"),
        ("Idempotency-Replayed" = Option<String>, description = "`true` where the request was sent before with this key"),
    ))),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::IdempotencyKeyReused, ProblemCode::CatalogsLimit,
    ]))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    IdempotencyKey(key): IdempotencyKey,
    body::Json(request): body::Json<CatalogRequest>,
) -> Result<Response, Problem> {
    let name = request.name.chars();
    if name.clone().count() > NAME_CHARS_MAX || name.clone().any(char::is_control) {
        let message = "must have at most 200 characters, none of them a control character";
        return Err(Problem::field("name", message));
    }
    if !(-100..=100).contains(&request.priority) {
        return Err(Problem::field("priority", "must be from -100 to 100"));
    }
    request
        .gate
        .check()
        .and_then(|()| request::check(&request))
        .map_err(|error| Problem::invalid(vec![error]))?;
    let canonical = serde_json::to_vec(&request).map_err(|error| Problem::internal(&error))?;
    let store = &state.services.store;
    let catalog = NewCatalog {
        id: BatchId::new(),
        request,
        made_by: store.key_label(caller.key).await?,
        idempotency_key: key,
        digest: Digest::of(&canonical),
    };
    let (view, replayed) = match store.catalog_create(caller.tenant, catalog).await? {
        CatalogCreated::Created(view) => (view, false),
        CatalogCreated::Replayed(view) => (view, true),
        CatalogCreated::KeyReused => {
            return Err(Problem::plain(ProblemCode::IdempotencyKeyReused));
        }
        CatalogCreated::TooMany => return Err(Problem::plain(ProblemCode::CatalogsLimit)),
    };
    let location = [(header::LOCATION, params::header(&view.links.this))];
    let mut response = (StatusCode::CREATED, location, Json(view)).into_response();
    if replayed {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Show a catalog
#[utoipa::path(
    get, path = "/v1/catalogs/{id}", operation_id = "getCatalog", tag = "catalogs",
    params(("id" = BatchId, Path, description = "Id of the catalog")),
    responses((status = 200, description = "The catalog", body = CatalogView)),
    extensions(("x-problems" = json!([ProblemCode::CatalogNotFound]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
) -> Result<Json<CatalogView>, Problem> {
    let found = state.services.store.catalog_get(caller.tenant, id).await?;
    found.map(Json).ok_or_else(not_found)
}

/// List catalogs, newest first
#[utoipa::path(
    get, path = "/v1/catalogs", operation_id = "listCatalogs", tag = "catalogs",
    params(CatalogQuery),
    responses((status = 200, description = "A page of catalogs", body = CatalogPage)),
)]
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Query(query): Query<CatalogQuery>,
) -> Result<Json<CatalogPage>, Problem> {
    let limit = params::limit(query.limit)?;
    let cursor = query.cursor.map(|text| params::id("cursor", &text));
    let store = &state.services.store;
    let page = store
        .catalogs_list(caller.tenant, cursor.transpose()?, limit)
        .await?;
    Ok(Json(page))
}
