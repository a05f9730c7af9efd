//! One edit, and pages of them.

use axum::{Json, extract};
use limekiln_jobs::{EditId, EditLinks, EditView, ModelName, SessionId, StateName, TenantId};
use limekiln_store::Filter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::caller::Tenant;
use crate::params::{Asked, Id, uuid};
use crate::problem::{Code, Problem};

/// Edits on a page, unless the query says.
const PAGE: u32 = 20;

/// Look at an edit
#[utoipa::path(
    get, path = "/v1/edits/{id}", operation_id = "getEdit", tag = "edits",
    params(("id" = EditId, Path, description = "The edit")),
    responses((status = 200, description = "The edit", body = EditView)),
    extensions(("x-problems" = json!(["parameter_invalid", "edit_not_found"]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Id(id): Id<EditId>,
) -> Result<Json<EditView>, Problem> {
    let mut view = find(&state, caller.tenant, id).await?;
    if view.state == StateName::Queued {
        view.queue_position = state.store().edit_queue_position(id).await?;
    }
    Ok(Json(view))
}

/// The tenant's edit, with its links.
pub(crate) async fn find(state: &State, tenant: TenantId, id: EditId) -> Result<EditView, Problem> {
    let found = state.store().edit_get(tenant, id).await?;
    found
        .map(linked)
        .ok_or_else(|| Problem::plain(Code::EditNotFound))
}

fn linked(mut view: EditView) -> EditView {
    view.links = EditLinks::new(view.id, &view.artifacts);
    view
}

/// Which edits, and where the page starts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those in this state.
    state: Option<StateName>,
    /// Only those of this session.
    #[param(value_type = Option<SessionId>)]
    session: Option<String>,
    /// Only those of this model.
    model: Option<ModelName>,
    /// Edits on the page; 20 without it.
    #[param(minimum = 1, maximum = 100, example = 20)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(value_type = Option<EditId>)]
    cursor: Option<String>,
}

/// A page of edits, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Edits {
    edits: Vec<EditView>,
    /// `cursor` of the next page; null on the last.
    next: Option<EditId>,
}

/// List edits, newest first
#[utoipa::path(
    get, path = "/v1/edits", operation_id = "listEdits", tag = "edits",
    params(ListQuery),
    responses((status = 200, description = "A page", body = Edits)),
    extensions(("x-problems" = json!(["parameter_invalid"]))),
)]
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Edits>, Problem> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=100).contains(&limit) {
        return Err(Problem::parameter("limit", "must be from 1 to 100"));
    }
    let session = query.session.map(|text| id("session", &text)).transpose()?;
    let cursor = query.cursor.map(|text| id("cursor", &text)).transpose()?;
    let filter = Filter {
        state: query.state,
        session,
        batch: None,
        model: query.model,
    };
    let page = state
        .store()
        .edits_list(caller.tenant, &filter, cursor, limit)
        .await?;
    Ok(Json(Edits {
        edits: page.edits.into_iter().map(linked).collect(),
        next: page.next,
    }))
}

/// An id in the query, spelled as in paths.
pub(crate) fn id<T: From<uuid::Uuid>>(name: &str, text: &str) -> Result<T, Problem> {
    uuid(text)
        .map(T::from)
        .ok_or_else(|| Problem::parameter(name, "must be a UUID"))
}
