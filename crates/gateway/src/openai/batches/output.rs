//! What came of a batch, made of its rows while it is downloaded: nothing is stored twice, and one result is in memory at a time.

use std::collections::VecDeque;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use limekiln_jobs::api::{ImagesResponse, RowView};
use limekiln_jobs::catalog::RowState;
use limekiln_jobs::{BatchId, EditId, FileId, TenantId};
use limekiln_pictures::Format;
use limekiln_store::OpenAiRefused;
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::super::form::{Form, LEAVING, ResponseFormat};
use super::super::{error, wait};
use super::ingest::custom_id;
use crate::State;
use crate::edits::read;
use crate::memory::PictureShare;
use crate::problem::{Problem, ProblemCode};
use crate::shares;

/// Rows that are looked up at once.
const PAGE: u32 = 100;

/// The file `file` of a batch that ended.
pub(in crate::openai) async fn answer(
    state: &State,
    tenant: TenantId,
    (batch, file): (BatchId, FileId),
    share: shares::Share,
) -> Result<Response, Problem> {
    let found = state.services.store.openai_batch_get(tenant, batch).await?;
    let found = found.ok_or_else(|| Problem::plain(ProblemCode::FileNotFound))?;
    let begin = Writing {
        state: state.clone(),
        tenant,
        batch,
        errors: found.error_file == Some(file),
        expired: found.outcome.as_deref() == Some("expired"),
        rows: VecDeque::new(),
        next_row: Some(0),
        refused: VecDeque::new(),
        next_refused: Some(0),
        held: None,
        _share: share,
    };
    let lines = stream::try_unfold(begin, |mut writing| async move {
        // The connection has taken the line before this one.
        drop(writing.held.take());
        // Where this fails the stream breaks, so that nobody takes a part for the whole.
        let line = writing.line().await;
        let line = line.map_err(|problem| std::io::Error::other(problem.detail))?;
        Ok::<_, std::io::Error>(line.map(|line| (line, writing)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

struct Writing {
    state: State,
    tenant: TenantId,
    batch: BatchId,
    /// Whether it is the file of requests without a result.
    errors: bool,
    expired: bool,
    rows: VecDeque<RowView>,
    /// The number after which rows go on; none after the last.
    next_row: Option<u64>,
    refused: VecDeque<OpenAiRefused>,
    next_refused: Option<u64>,
    /// Memory of the line that is being sent.
    held: Option<PictureShare>,
    _share: shares::Share,
}

impl Writing {
    /// The next line; none at the end.
    async fn line(&mut self) -> Result<Option<Bytes>, Problem> {
        self.fill().await?;
        let row = self.rows.front().map(|row| row.row);
        let refused = self.refused.front().map(|one| one.line);
        // In the order of the file.
        if let Some(line) = refused
            && row.is_none_or(|row| line < row)
            && let Some(one) = self.refused.pop_front()
        {
            let id = format!("batch_req_{}_{}", self.batch.uuid().simple(), one.line);
            let head = (one.status, String::new());
            return answered(&id, &one.custom_id, head, one.error).map(Some);
        }
        let Some(row) = self.rows.pop_front() else {
            return Ok(None);
        };
        let line = match (row.state, row.edit) {
            (RowState::Passed | RowState::Review | RowState::Rejected, Some(edit)) => {
                self.result(&row, edit).await?
            }
            _ => self.without(&row).await?,
        };
        Ok(Some(line))
    }

    /// Has the next row and the next refusal at hand, where there are any.
    async fn fill(&mut self) -> Result<(), Problem> {
        let store = &self.state.services.store;
        while let Some(after) = self.next_row.filter(|_| self.rows.is_empty()) {
            let page = store.catalog_rows(self.tenant, self.batch, None, after, PAGE);
            let page = page.await?;
            let page = page.ok_or_else(|| Problem::plain(ProblemCode::FileNotFound))?;
            self.next_row = page.next;
            let errors = self.errors;
            let ours = page.rows.into_iter().filter(|row| match row.state {
                RowState::Passed | RowState::Review | RowState::Rejected => !errors,
                RowState::Failed | RowState::Cancelled => errors,
                // Somebody has it done again.
                RowState::Waiting | RowState::Live => false,
            });
            self.rows.extend(ours);
        }
        if let Some(after) = self
            .next_refused
            .filter(|_| self.errors && self.refused.is_empty())
        {
            let page = store.openai_batch_refused(self.batch, after, PAGE).await?;
            self.next_refused = page.last().map(|one| one.line);
            self.refused.extend(page);
        }
        Ok(())
    }

    /// A row with a result.
    async fn result(&mut self, row: &RowView, edit: EditId) -> Result<Bytes, Problem> {
        let (id, name) = (request_id(edit), custom_id(&row.values));
        match self.pictures(row, edit).await {
            Ok((pictures, held)) => {
                self.held = held;
                answered(&id, name, (200, edit.to_string()), pictures)
            }
            // It was deleted since.
            Err(problem) if problem.status().is_client_error() => {
                unanswered(&id, name, problem.code.as_str(), &problem.detail)
            }
            Err(problem) => Err(problem),
        }
    }

    async fn pictures(
        &self,
        row: &RowView,
        edit: EditId,
    ) -> Result<(ImagesResponse, Option<PictureShare>), Problem> {
        let text = |name: &'static str| {
            let text = row.values.get(name).and_then(Value::as_str)?;
            Some((name, text.to_owned()))
        };
        let form = Form::of_leaving(LEAVING.into_iter().filter_map(text).collect())?;
        let wish = form.wish()?;
        let as_url = form.response_format == ResponseFormat::Url;
        let (picture, held) = wait::one(&self.state, self.tenant, edit, wish, as_url).await?;
        let answer = ImagesResponse {
            created: OffsetDateTime::now_utc().unix_timestamp(),
            data: vec![picture],
            output_format: wish.format.unwrap_or(Format::Png).word().into(),
        };
        Ok((answer, held))
    }

    /// A row without a result.
    async fn without(&self, row: &RowView) -> Result<Bytes, Problem> {
        let name = custom_id(&row.values);
        let id = match row.edit {
            Some(edit) => request_id(edit),
            None => format!("batch_req_{}_{}", self.batch.uuid().simple(), row.row),
        };
        if row.state == RowState::Cancelled {
            let (code, message) = match self.expired {
                true => (
                    "batch_expired",
                    "This request could not be executed before the completion window expired.",
                ),
                false => (
                    "batch_cancelled",
                    "This request was not executed: the batch was cancelled.",
                ),
            };
            return unanswered(&id, name, code, message);
        }
        let says = row.error.clone();
        let mut problem = Problem::new(
            ProblemCode::EditFailed,
            says.unwrap_or_else(|| "the edit failed".to_owned()),
        );
        if let Some(edit) = row.edit {
            match read::find(&self.state, self.tenant, edit).await {
                Ok(view) => problem = wait::succeeded(&view).err().unwrap_or(problem),
                Err(gone) if gone.status().is_client_error() => {}
                Err(other) => return Err(other),
            }
        }
        let request = row.edit.map(|edit| edit.to_string()).unwrap_or_default();
        let head = (problem.status().as_u16(), request);
        answered(&id, name, head, error(&problem))
    }
}

fn request_id(edit: EditId) -> String {
    format!("batch_req_{}", edit.uuid().simple())
}

/// A line of either file.
#[derive(Serialize)]
struct Line<'a, T> {
    id: &'a str,
    custom_id: &'a str,
    response: Option<Answer<T>>,
    error: Option<Value>,
}

/// What the request would have been answered.
#[derive(Serialize)]
struct Answer<T> {
    status_code: u16,
    request_id: String,
    body: T,
}

impl<T: Serialize> Line<'_, T> {
    fn bytes(&self) -> Result<Bytes, Problem> {
        let mut bytes = serde_json::to_vec(self).map_err(|error| Problem::internal(&error))?;
        bytes.push(b'\n');
        Ok(bytes.into())
    }
}

/// The line of a request that was answered.
fn answered(
    id: &str,
    custom_id: &str,
    (status_code, request_id): (u16, String),
    body: impl Serialize,
) -> Result<Bytes, Problem> {
    let response = Some(Answer {
        status_code,
        request_id,
        body,
    });
    let line = Line {
        id,
        custom_id,
        response,
        error: None,
    };
    line.bytes()
}

/// The line of a request that has no answer.
fn unanswered(id: &str, custom_id: &str, code: &str, message: &str) -> Result<Bytes, Problem> {
    let line: Line<'_, Value> = Line {
        id,
        custom_id,
        response: None,
        error: Some(json!({"code": code, "message": message})),
    };
    line.bytes()
}
