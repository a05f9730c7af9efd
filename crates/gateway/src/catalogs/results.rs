//! The manifest of results, streamed: a million rows in the memory of a page.

use std::collections::BTreeSet;

use axum::body::{Body, Bytes};
use axum::extract;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use limekiln_jobs::api::{ResultsFormat, ResultsQuery, RowView};
use limekiln_jobs::catalog::{cell_text, value_text};
use limekiln_jobs::{BatchId, TenantId};

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
        let columns = COLUMNS.into_iter().map(str::to_owned);
        let columns = columns.chain(names.iter().cloned()).collect();
        lines(&mut head, [columns]).map_err(|error| Problem::internal(&error))?;
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
        writing.write(&mut piece, &rows)?;
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
    fn write(&self, piece: &mut Vec<u8>, rows: &[RowView]) -> std::io::Result<()> {
        if self.format == ResultsFormat::Csv {
            return lines(piece, rows.iter().map(|row| self.cells(row)));
        }
        for row in rows {
            serde_json::to_writer(&mut *piece, row)?;
            piece.push(b'\n');
        }
        Ok(())
    }

    fn cells(&self, row: &RowView) -> Vec<String> {
        let reasons: Vec<&str> = row.reasons.iter().map(|reason| reason.as_str()).collect();
        let own = [
            row.row.to_string(),
            row.state.to_string(),
            reasons.join(" "),
            row.error.clone().unwrap_or_default(),
            row.image.to_string(),
            row.instruction.clone(),
            row.color.clone().unwrap_or_default(),
            row.edit.map(|edit| edit.to_string()).unwrap_or_default(),
        ];
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let values = self.names.iter();
        let values = values.map(|name| row.values.get(name).map(value_text).unwrap_or_default());
        let measured = row.measures.cells().into_iter().chain([version]);
        own.into_iter().chain(measured).chain(values).collect()
    }
}

/// Lines of CSV as RFC 4180 has them.
fn lines(piece: &mut Vec<u8>, lines: impl IntoIterator<Item = Vec<String>>) -> std::io::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(piece);
    for cells in lines {
        writer.write_record(cells.iter().map(|cell| cell_text(cell).into_owned()))?;
    }
    writer.flush()
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
