//! The manifest of results, streamed: a million rows in the memory of a page.

use std::collections::BTreeSet;

use axum::body::{Body, Bytes};
use axum::extract;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use limekiln_jobs::api::{ResultsFormat, ResultsQuery, RowView};
use limekiln_jobs::catalog::cell_text;
use limekiln_jobs::{BatchId, TenantId};
use serde_json::Value;

use super::not_found;
use crate::State;
use crate::auth::Tenant;
use crate::params::{PathId, Query};
use crate::problem::{Problem, ProblemCode};

const PAGE: u32 = 1000;
/// Columns of the manifest before those of the rows' values.
const COLUMNS: [&str; 19] = [
    "row",
    "state",
    "reasons",
    "error",
    "image",
    "instruction",
    "asked_color",
    "edit",
    "sure",
    "share",
    "delta_e",
    "delta_e_p95",
    "changed_outside",
    "seconds",
    "seed",
    "reused",
    "region_from",
    "fingerprint",
    "version",
];

/// Download the manifest of results
///
/// A line for each row, by number: what was asked for, what became of it, and what is known of its result. As CSV its first line names
/// the columns, the rows' values after ours; a cell that a spreadsheet would take for a formula begins with an apostrophe.
#[utoipa::path(
    get, path = "/v1/catalogs/{id}/results", operation_id = "getCatalogResults", tag = "catalogs",
    params(("id" = BatchId, Path, description = "Id of the catalog"), ResultsQuery),
    responses((status = 200, description = "The manifest", content((String = "text/csv"), (RowView = "application/x-ndjson")))),
    extensions(("x-problems" = json!([ProblemCode::CatalogNotFound]))),
)]
pub(crate) async fn results(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathId(id): PathId<BatchId>,
    Query(query): Query<ResultsQuery>,
) -> Result<Response, Problem> {
    let format = query.format.unwrap_or(ResultsFormat::Jsonl);
    let first = page(&state, caller.tenant, id, 0).await?;
    let names: BTreeSet<String> = first
        .0
        .iter()
        .flat_map(|row| row.values.keys().cloned())
        .collect();
    let names: Vec<String> = names.into_iter().collect();
    let mut head = Vec::new();
    if format == ResultsFormat::Csv {
        let columns = COLUMNS.into_iter().chain(names.iter().map(String::as_str));
        line(&mut head, columns);
    }
    let begin = Writing {
        state,
        tenant: caller.tenant,
        catalog: id,
        format,
        names,
        page: Some(first),
        head,
    };
    let pieces = stream::try_unfold(begin, |mut writing| async move {
        let Some((rows, next)) = writing.page.take() else {
            return Ok(None);
        };
        let mut piece = std::mem::take(&mut writing.head);
        for row in &rows {
            writing.write(&mut piece, row)?;
        }
        if let Some(after) = next {
            let read = page(&writing.state, writing.tenant, writing.catalog, after).await;
            // The stream breaks, so that nobody takes a part for the whole.
            let read = read.map_err(|problem| std::io::Error::other(problem.detail))?;
            writing.page = Some(read);
        }
        Ok::<_, std::io::Error>(Some((Bytes::from(piece), writing)))
    });
    let (media_type, name) = match format {
        ResultsFormat::Csv => ("text/csv; charset=utf-8", "results.csv"),
        ResultsFormat::Jsonl => ("application/x-ndjson", "results.jsonl"),
    };
    let headers: [(HeaderName, String); 3] = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

struct Writing {
    state: State,
    tenant: TenantId,
    catalog: BatchId,
    format: ResultsFormat,
    names: Vec<String>,
    page: Option<(Vec<RowView>, Option<u64>)>,
    head: Vec<u8>,
}

impl Writing {
    fn write(&self, piece: &mut Vec<u8>, row: &RowView) -> std::io::Result<()> {
        if self.format == ResultsFormat::Jsonl {
            serde_json::to_writer(&mut *piece, row)?;
            piece.push(b'\n');
            return Ok(());
        }
        let measures = &row.measures;
        let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
        let reasons: Vec<&str> = row.reasons.iter().map(|reason| reason.as_str()).collect();
        let count = |value: Option<u64>| value.map(|v| v.to_string()).unwrap_or_default();
        let own = [
            row.row.to_string(),
            row.state.to_string(),
            reasons.join(" "),
            row.error.clone().unwrap_or_default(),
            row.image.to_string(),
            row.instruction.clone(),
            row.color.clone().unwrap_or_default(),
            row.edit.map(|edit| edit.to_string()).unwrap_or_default(),
            number(measures.sure),
            number(measures.share),
            number(measures.delta_e),
            number(measures.delta_e_p95),
            count(measures.changed_outside),
            number(measures.seconds),
            count(measures.seed),
            measures.reused.join(" "),
            measures.region_from.clone().unwrap_or_default(),
            measures.fingerprint.clone().unwrap_or_default(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ];
        let values = self.names.iter().map(|name| match row.values.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        });
        let cells: Vec<String> = own.into_iter().chain(values).collect();
        line(piece, cells.iter().map(String::as_str));
        Ok(())
    }
}

/// A line of CSV (RFC 4180).
fn line<'a>(piece: &mut Vec<u8>, cells: impl Iterator<Item = &'a str>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            piece.push(b',');
        }
        let cell = cell_text(cell);
        if cell.contains(['"', ',', '\n', '\r']) {
            piece.extend(format!("\"{}\"", cell.replace('"', "\"\"")).bytes());
        } else {
            piece.extend(cell.bytes());
        }
    }
    piece.extend(b"\r\n");
}

async fn page(
    state: &State,
    tenant: TenantId,
    catalog: BatchId,
    after: u64,
) -> Result<(Vec<RowView>, Option<u64>), Problem> {
    let store = &state.services.store;
    let page = store
        .catalog_rows(tenant, catalog, None, after, PAGE)
        .await?;
    let page = page.ok_or_else(not_found)?;
    Ok((page.rows, page.next))
}
