//! Rows come in and are shown.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::extract;
use axum::http::HeaderMap;
use limekiln_jobs::api::{CatalogRow, Invalid, RowPage, RowQuery, RowsTaken};
use limekiln_jobs::catalog::{CHUNK_BYTES_MAX, CHUNK_ROWS_MAX, ROWS_MAX};
use limekiln_jobs::{BatchId, ImageId};
use limekiln_store::{NewRow, RowsAdded};

use super::expand::{self, Expander};
use super::not_found;
use crate::auth::Tenant;
use crate::body::{self, media_type};
use crate::params::{PathId, Query};
use crate::problem::{Problem, ProblemCode};
use crate::strict_json::StrictJson;
use crate::{State, quotas};

/// Wrong rows that an answer names.
const ERRORS_MAX: usize = 50;
/// Rows on a page whose query gives no `limit`, and at most.
const PAGE: u32 = 20;
const PAGE_MAX: u32 = 1000;
/// Copies of a body that are in memory while it is read: its bytes, its rows, and the statement that writes them.
const COPIES: usize = 4;

/// Add rows to a catalog
///
/// The body has a JSON object on each line: a row with its number. All rows of a request are taken, or none, with the reasons of those
/// that are wrong. A row that is sent again, with the same number and the same fields, is no second row: after a lost answer, send the
/// same request again.
#[utoipa::path(
    post, path = "/v1/catalogs/{id}/rows", operation_id = "addCatalogRows", tag = "catalogs",
    params(("id" = BatchId, Path, description = "Id of the catalog")),
    request_body(content((CatalogRow = "application/x-ndjson")), description = "Up to 5,000 rows and 4 MiB"),
    responses((status = 200, description = "The rows are there", body = RowsTaken)),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::OptionsInvalid, ProblemCode::CatalogNotFound,
        ProblemCode::CatalogSealed, ProblemCode::RowReused, ProblemCode::MaskInvalid, ProblemCode::ModelNotFound,
        ProblemCode::StorageLimit,
    ]))),
)]
pub(crate) async fn add(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RowsTaken>, Problem> {
    if media_type(&headers)?.as_deref() != Some("application/x-ndjson") {
        return Err(Problem::new(
            ProblemCode::MediaTypeUnsupported,
            "send a JSON object on each line, with Content-Type: application/x-ndjson",
        ));
    }
    quotas::edit(&caller)?;
    let store = &state.services.store;
    let found = store.catalog_request(caller.tenant, id).await?;
    let (catalog, _) = found.ok_or_else(not_found)?;
    let body = body::read(
        &state,
        caller.tenant,
        &headers,
        body,
        CHUNK_BYTES_MAX,
        COPIES,
    )
    .await?;
    let rows = parse(&body.bytes)?;
    let mut expander = Expander::new(&state, caller.tenant, &catalog);
    let (mut taken, mut errors) = (Vec::<NewRow>::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let number = row.row;
        match expander.expand(row).await {
            Ok(row) => taken.push(row),
            // A failure of ours is nothing of a row's.
            Err(problem) if problem.status().is_server_error() => return Err(problem),
            Err(problem) => errors.extend(of_row(number, problem)),
        }
        if errors.len() >= ERRORS_MAX {
            break;
        }
    }
    if errors.is_empty() {
        let images: BTreeSet<ImageId> = taken.iter().flat_map(expand::images).collect();
        let images: Vec<ImageId> = images.into_iter().collect();
        let missing = store.images_missing(caller.tenant, &images).await?;
        for row in &taken {
            let lacks = expand::images(row).find(|image| missing.contains(image));
            if let Some(image) = lacks.filter(|_| errors.len() < ERRORS_MAX) {
                let message = format!("there is no image {image}: upload it with POST /v1/images");
                errors.push(Invalid::new(format!("row {}: image", row.number), message));
            }
        }
    }
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let bases = expander.into_bases();
    let added = store
        .catalog_rows_add(caller.tenant, id, &bases, &taken)
        .await?;
    match added {
        RowsAdded::Taken(taken) => {
            metrics::counter!("limekiln_catalog_rows_taken_total").increment(taken.added);
            state.services.broker.wake();
            Ok(Json(taken))
        }
        RowsAdded::NoCatalog => Err(not_found()),
        RowsAdded::Sealed => Err(Problem::plain(ProblemCode::CatalogSealed)),
        RowsAdded::TooMany => {
            let message = format!("a catalog has at most {ROWS_MAX} rows");
            Err(Problem::field("row", message))
        }
        RowsAdded::Reused(numbers) => {
            let numbers: Vec<String> = numbers.iter().take(20).map(u64::to_string).collect();
            let detail = format!("rows that came before as others: {}", numbers.join(", "));
            Err(Problem::new(ProblemCode::RowReused, detail))
        }
    }
}

/// The rows of a body.
fn parse(bytes: &[u8]) -> Result<Vec<CatalogRow>, Problem> {
    let mut rows = Vec::new();
    let mut numbers = BTreeSet::new();
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    for (at, line) in lines.map(|(at, line)| (at + 1, line.trim_ascii())) {
        if line.is_empty() {
            continue;
        }
        let of_line =
            |error: &dyn std::fmt::Display, code| Problem::new(code, format!("line {at}: {error}"));
        let StrictJson(value) = serde_json::from_slice(line).map_err(|error| {
            let data = error.is_data();
            let code = match data {
                true => ProblemCode::RequestInvalid,
                false => ProblemCode::JsonInvalid,
            };
            of_line(&error, code)
        })?;
        let invalid = |error: &dyn std::fmt::Display| of_line(error, ProblemCode::RequestInvalid);
        if !value.is_object() {
            return Err(invalid(&"must be a JSON object"));
        }
        let row: CatalogRow = serde_json::from_value(value).map_err(|error| invalid(&error))?;
        if !(1..=ROWS_MAX).contains(&row.row) {
            return Err(invalid(&format!("row must be from 1 to {ROWS_MAX}")));
        }
        if !numbers.insert(row.row) {
            return Err(invalid(&format!("row {} comes twice", row.row)));
        }
        if rows.len() == CHUNK_ROWS_MAX {
            let detail = format!("send at most {CHUNK_ROWS_MAX} rows at once");
            return Err(Problem::new(ProblemCode::BodyTooLarge, detail));
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(Problem::new(
            ProblemCode::RequestInvalid,
            "the body has no row",
        ));
    }
    Ok(rows)
}

/// What is wrong with a row.
fn of_row(number: u64, problem: Problem) -> Vec<Invalid> {
    if problem.errors.is_empty() {
        return vec![Invalid::new(format!("row {number}"), problem.detail)];
    }
    let named =
        |error: Invalid| Invalid::new(format!("row {number}: {}", error.field), error.message);
    problem.errors.into_iter().map(named).collect()
}

/// Show rows of a catalog
#[utoipa::path(
    get, path = "/v1/catalogs/{id}/rows", operation_id = "listCatalogRows", tag = "catalogs",
    params(("id" = BatchId, Path, description = "Id of the catalog"), RowQuery),
    responses((status = 200, description = "A page of rows, by number", body = RowPage)),
    extensions(("x-problems" = json!([ProblemCode::CatalogNotFound]))),
)]
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
    Query(query): Query<RowQuery>,
) -> Result<Json<RowPage>, Problem> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::parameter("limit", "must be from 1 to 1000"));
    }
    let after = query.after.unwrap_or(0);
    if after > ROWS_MAX {
        return Err(Problem::parameter("after", "must be from 0 to 10000000"));
    }
    let store = &state.services.store;
    let page = store
        .catalog_rows(caller.tenant, id, query.state, after, limit)
        .await?;
    page.map(Json).ok_or_else(not_found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_rows_and_what_is_wrong_is_named_by_its_line() {
        let rows = parse(b"{\"row\": 1, \"seed\": 3}\r\n\n  {\"row\": 2, \"values\": {\"a\": 1}}")
            .unwrap();
        assert_eq!((rows[0].row, rows[1].row), (1, 2));
        assert_eq!(rows[0].fields["seed"], 3);
        for (bad, says) in [
            (&b""[..], "no row"),
            (b"{\"row\": 1}\n{\"row\": 1}", "line 2: row 1 comes twice"),
            (b"{\"row\": 0}", "line 1: row must be from 1"),
            (b"[1]", "line 1: must be a JSON object"),
            (b"{\"row\": 1}\n{\"row\": 2", "line 2:"),
            (b"{\"row\": 1, \"row\": 2}", "line 1:"),
            (b"{\"row\": \"1\"}", "line 1:"),
            (b"\xff", "line 1:"),
        ] {
            let problem = parse(bad).unwrap_err();
            assert!(problem.detail.contains(says), "{says}: {}", problem.detail);
        }
    }
}
