//! One edit, and pages of them.

use axum::{Json, extract};
use limekiln_jobs::api::{EditPage, EditQuery};
use limekiln_jobs::{EditId, EditView, StateName, TenantId};
use limekiln_store::Filter;

use crate::State;
use crate::auth::Tenant;
use crate::params::{self, PathId, Query};
use crate::problem::{Problem, ProblemCode};

/// Show an edit
#[utoipa::path(
    get, path = "/v1/edits/{id}", operation_id = "getEdit", tag = "edits",
    params(("id" = EditId, Path, description = "Id of the edit")),
    responses((status = 200, description = "The edit", body = EditView)),
    extensions(("x-problems" = json!([ProblemCode::EditNotFound]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<EditId>,
) -> Result<Json<EditView>, Problem> {
    let mut view = find(&state, caller.tenant, id).await?;
    if view.state == StateName::Queued {
        view.queue_position = state.services.store.edit_queue_position(id).await?;
    }
    Ok(Json(view))
}

/// The tenant's edit of this id.
pub(crate) async fn find(state: &State, tenant: TenantId, id: EditId) -> Result<EditView, Problem> {
    let found = state.services.store.edit_get(tenant, id).await?;
    found.ok_or_else(|| Problem::plain(ProblemCode::EditNotFound))
}

/// List edits, newest first
#[utoipa::path(
    get, path = "/v1/edits", operation_id = "listEdits", tag = "edits",
    params(EditQuery),
    responses((status = 200, description = "A page of edits", body = EditPage)),
)]
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Query(query): Query<EditQuery>,
) -> Result<Json<EditPage>, Problem> {
    let limit = params::limit(query.limit)?;
    let session = query.session.map(|text| params::id("session", &text));
    let filter = Filter {
        state: query.state,
        session: session.transpose()?,
        batch: None,
        model: query.model,
    };
    let cursor = query.cursor.map(|text| params::id("cursor", &text));
    let (store, cursor) = (&state.services.store, cursor.transpose()?);
    let page = store
        .edits_list(caller.tenant, &filter, cursor, limit)
        .await?;
    Ok(Json(page))
}
