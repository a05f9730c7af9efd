//! Decisions on rows that ended.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract;
use limekiln_jobs::api::{
    CatalogRow, CatalogView, Decision, DecisionKind, DecisionRequest, RowsChanged,
};
use limekiln_jobs::catalog::{CatalogState, ROWS_MAX};
use limekiln_jobs::{BatchId, ImageId};
use time::OffsetDateTime;

use super::expand::{self, Expander};
use super::not_found;
use crate::auth::Tenant;
use crate::params::PathId;
use crate::problem::{Problem, ProblemCode};
use crate::{State, body};

/// Rows of one decision, at most, with those of the same pictures.
const ROWS_MOST: u32 = 2_000;
const NAMED_MOST: usize = 1_000;

/// Decide on rows that ended
///
/// Rows in review are accepted, rejected or done again. A row that is done again has the fields of before but for those in `changes`; with
/// `picture`, so have all rows in review of the same picture: one wrong region, one correction. The decision is kept with the key's label
/// and the time.
#[utoipa::path(
    post, path = "/v1/catalogs/{id}/decisions", operation_id = "decideCatalogRows", tag = "catalogs",
    params(("id" = BatchId, Path, description = "Id of the catalog")),
    request_body = DecisionRequest,
    responses((status = 200, description = "How many rows it changed", body = RowsChanged)),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::OptionsInvalid, ProblemCode::CatalogNotFound,
        ProblemCode::CatalogSealed, ProblemCode::MaskInvalid, ProblemCode::MaskNotFound, ProblemCode::ModelNotFound,
    ]))),
)]
pub(crate) async fn decide(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
    body::Json(request): body::Json<DecisionRequest>,
) -> Result<Json<RowsChanged>, Problem> {
    if request.rows.is_empty() || request.rows.len() > NAMED_MOST {
        return Err(Problem::field("rows", "must name 1 to 1000 rows"));
    }
    if !request.rows.iter().all(|row| (1..=ROWS_MAX).contains(row)) {
        let message = format!("rows are numbered from 1 to {ROWS_MAX}");
        return Err(Problem::field("rows", message));
    }
    let redo = request.verdict == DecisionKind::Redo;
    if !redo && !request.changes.is_empty() {
        return Err(Problem::field("changes", "are for rows that are redone"));
    }
    if ["image", "image_url"]
        .iter()
        .any(|name| request.changes.contains_key(*name))
    {
        let message = "a row keeps its picture: add another row for another one";
        return Err(Problem::field("changes.image", message));
    }
    let store = &state.services.store;
    let found = store.catalog_request(caller.tenant, id).await?;
    let (catalog, _) = found.ok_or_else(not_found)?;
    let view = store.catalog_get(caller.tenant, id).await?;
    let cancelled = |view: CatalogView| {
        matches!(
            view.state,
            CatalogState::Cancelling | CatalogState::Cancelled
        )
    };
    if redo && view.is_some_and(cancelled) {
        return Err(Problem::plain(ProblemCode::CatalogSealed));
    }
    let asked = store
        .catalog_rows_asked(id, &request.rows, request.picture, ROWS_MOST)
        .await?;
    let numbers: Vec<u64> = asked.iter().map(|row| row.number).collect();
    let mut expander = Expander::new(&state, caller.tenant, &catalog);
    let mut rows = Vec::new();
    if redo {
        for one in asked {
            let mut fields = one.sent;
            // It came by now, whatever named it.
            fields.remove("image_url");
            fields.insert("image".to_owned(), one.image.to_string().into());
            fields.extend(request.changes.clone());
            let row = CatalogRow {
                row: one.number,
                values: one.values,
                fields,
            };
            rows.push(expander.expand(row).await?);
        }
        let images: BTreeSet<ImageId> = rows.iter().flat_map(expand::images).collect();
        let images: Vec<ImageId> = images.into_iter().collect();
        if !store
            .images_missing(caller.tenant, &images)
            .await?
            .is_empty()
        {
            return Err(Problem::plain(ProblemCode::MaskNotFound));
        }
    }
    let decision = Decision {
        verdict: request.verdict,
        by: store.key_label(caller.key).await?,
        at: OffsetDateTime::now_utc(),
    };
    let again = (expander.into_bases(), rows);
    let changed = store
        .catalog_decide(caller.tenant, id, &decision, &numbers, &again)
        .await?;
    state.services.broker.wake();
    let rows = changed.ok_or_else(not_found)?;
    Ok(Json(RowsChanged { rows }))
}
