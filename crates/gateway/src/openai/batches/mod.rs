//! `/v1/batches`: many requests of a file, which become the rows of a catalog of the same id.
//!
//! | module | what is in it |
//! |---|---|
//! | `line` | what a line of the file must be |
//! | `lines` | the file, line by line |
//! | `ingest` | from lines to rows: pictures stored, requests checked, each a row or a refusal |
//! | `run` | the loop that reads files, stops batches whose time is over and ends those whose rows ended |
//! | `output` | what came of a batch, as the files that its clients download |

mod ingest;
mod line;
mod lines;
pub(super) mod output;
mod run;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract;
use limekiln_jobs::api::{
    CatalogRequest, OpenAiBatchErrors, OpenAiBatchPage, OpenAiBatchQuery, OpenAiBatchRequest,
    OpenAiBatchView, OpenAiRequestCounts,
};
use limekiln_jobs::{BatchId, Digest, TenantId};
use limekiln_store::{NewCatalog, NewOpenAiBatch, OpenAiBatch, OpenAiBatchCreated};
use serde_json::Value;
use time::OffsetDateTime;

use super::PATH;
use super::ids::{self, PathBatch};
use crate::auth::Tenant;
use crate::params::{self, IdempotencyKey, Query};
use crate::problem::{Problem, ProblemCode};
use crate::{State, body};

pub(crate) use run::run;

/// Bounds on what a batch comes with.
const METADATA_MAX: usize = 16;
const METADATA_NAME_CHARS: usize = 64;
const METADATA_TEXT_CHARS: usize = 512;
/// The longest time within which a batch may end.
const HOURS_MAX: u64 = 720;

/// Create a batch
///
/// `client.batches.create(input_file_id=..., endpoint="/v1/images/edits", completion_window="24h")` of OpenAI's clients works unchanged.
/// Each line of the file is an object with `custom_id`, `method` (`POST`), `url` and `body`: the JSON of `POST /v1/images/edits` with one
/// picture and without `n` and `stream`. Where a line is no such object the batch fails, with the numbers of such lines, and nothing of
/// it runs; a request that is wrong itself ends in the file of errors. Rows wait, are started a few at a time, and are those of the
/// catalog whose id has the same hexadecimal digits.
#[utoipa::path(
    post, path = "/v1/batches", operation_id = "createBatch", tag = "openai",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send a request again: the same key and body get the same batch", min_length = 1, max_length = 200, pattern = "^[!-~]{1,200}$")),
    request_body = OpenAiBatchRequest,
    responses((status = 200, description = "The batch", body = OpenAiBatchView)),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::FileNotFound, ProblemCode::IdempotencyKeyReused,
        ProblemCode::CatalogsLimit,
    ]))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    IdempotencyKey(key): IdempotencyKey,
    body::Json(request): body::Json<OpenAiBatchRequest>,
) -> Result<Json<OpenAiBatchView>, Problem> {
    if key.as_ref().is_some_and(|key| key.len() > 200) {
        let says = "must have at most 200 characters";
        return Err(Problem::parameter("Idempotency-Key", says));
    }
    if request.endpoint != PATH {
        return Err(Problem::field("endpoint", format!("must be {PATH}")));
    }
    let within = window(&request.completion_window)?;
    let metadata = request.metadata.as_ref().map(metadata).transpose()?;
    let store = &state.services.store;
    let input = ids::file(&request.input_file_id);
    let input = input.ok_or_else(|| Problem::plain(ProblemCode::FileNotFound))?;
    let file = store.file_get(caller.tenant, input).await?;
    let file = file.ok_or_else(|| Problem::plain(ProblemCode::FileNotFound))?;
    if file.purpose != "batch" {
        let says = "must be a file with the purpose batch";
        return Err(Problem::field("input_file_id", says));
    }
    let canonical = serde_json::to_vec(&request).map_err(|error| Problem::internal(&error))?;
    let id = BatchId::new();
    let batch = NewOpenAiBatch {
        catalog: NewCatalog {
            id,
            request: CatalogRequest {
                name: file.filename,
                ..CatalogRequest::default()
            },
            made_by: store.key_label(caller.key).await?,
            idempotency_key: key.map(|key| format!("openai:{key}")),
            digest: Digest::of(&canonical),
        },
        input,
        window: request.completion_window,
        within,
        metadata,
    };
    let made = store.openai_batch_create(caller.tenant, &batch).await;
    let id = match made? {
        OpenAiBatchCreated::Created(id) => id,
        OpenAiBatchCreated::KeyReused => {
            return Err(Problem::plain(ProblemCode::IdempotencyKeyReused));
        }
        OpenAiBatchCreated::TooMany => return Err(Problem::plain(ProblemCode::CatalogsLimit)),
    };
    state.batches.notify_one();
    find(&state, caller.tenant, id).await.map(Json)
}

/// Show a batch
#[utoipa::path(
    get, path = "/v1/batches/{id}", operation_id = "getBatch", tag = "openai",
    params(("id" = String, Path, description = "Id of the batch", pattern = "^batch_[0-9a-f]{32}$")),
    responses((status = 200, description = "The batch", body = OpenAiBatchView)),
    extensions(("x-problems" = json!([ProblemCode::BatchNotFound]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathBatch(id): PathBatch,
) -> Result<Json<OpenAiBatchView>, Problem> {
    find(&state, caller.tenant, id).await.map(Json)
}

/// Cancel a batch
///
/// Requests that wait are cancelled with this answer, edits that are under way within seconds. Results that are there stay. One that
/// ended is shown as it is.
#[utoipa::path(
    post, path = "/v1/batches/{id}/cancel", operation_id = "cancelBatch", tag = "openai",
    params(("id" = String, Path, description = "Id of the batch", pattern = "^batch_[0-9a-f]{32}$")),
    responses((status = 200, description = "The batch", body = OpenAiBatchView)),
    extensions(("x-problems" = json!([ProblemCode::BatchNotFound]))),
)]
pub(crate) async fn cancel(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    PathBatch(id): PathBatch,
) -> Result<Json<OpenAiBatchView>, Problem> {
    let store = &state.services.store;
    store.openai_batch_cancel(caller.tenant, id).await?;
    state.services.broker.wake();
    state.batches.notify_one();
    find(&state, caller.tenant, id).await.map(Json)
}

/// List batches, newest first
#[utoipa::path(
    get, path = "/v1/batches", operation_id = "listBatches", tag = "openai",
    params(OpenAiBatchQuery),
    responses((status = 200, description = "A page of batches", body = OpenAiBatchPage)),
    extensions(("x-problems" = json!([ProblemCode::BatchNotFound]))),
)]
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Query(query): Query<OpenAiBatchQuery>,
) -> Result<Json<OpenAiBatchPage>, Problem> {
    let limit = params::limit(query.limit)?;
    let after = query.after.map(|text| {
        let id = ids::batch(&text);
        id.ok_or_else(|| Problem::plain(ProblemCode::BatchNotFound))
    });
    let store = &state.services.store;
    let found = store.openai_batches_list(caller.tenant, after.transpose()?, limit + 1);
    let mut found = found.await?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let data = found.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(OpenAiBatchPage {
        object: "list".into(),
        first_id: data.first().map(|batch| batch.id.clone()),
        last_id: data.last().map(|batch| batch.id.clone()),
        data,
        has_more,
    }))
}

async fn find(state: &State, tenant: TenantId, id: BatchId) -> Result<OpenAiBatchView, Problem> {
    let batch = state.services.store.openai_batch_get(tenant, id).await?;
    view(batch.ok_or_else(|| Problem::plain(ProblemCode::BatchNotFound))?)
}

fn view(batch: OpenAiBatch) -> Result<OpenAiBatchView, Problem> {
    let outcome = batch.outcome.as_deref();
    let status = match outcome {
        Some("completed") => "completed",
        Some("failed") => "failed",
        Some("expired") => "expired",
        Some(_) => "cancelled",
        None if batch.cancelling_at.is_some() => "cancelling",
        None if batch.rows_ended => "finalizing",
        None if batch.in_progress_at.is_some() => "in_progress",
        None => "validating",
    };
    let stamp = |time: Option<OffsetDateTime>| time.map(OffsetDateTime::unix_timestamp);
    let ended = |as_this: &str| stamp(batch.done_at.filter(|_| outcome == Some(as_this)));
    let read = |error: serde_json::Error| Problem::internal(&error);
    let errors = match batch.errors.is_empty() {
        true => None,
        false => Some(OpenAiBatchErrors {
            object: "list".into(),
            data: serde_json::from_value(Value::Array(batch.errors)).map_err(read)?,
        }),
    };
    let metadata = batch.metadata.map(Value::Object);
    // What was read of a file that is wrong is nothing that failed.
    let failed = match outcome {
        Some("failed") => 0,
        _ => batch.failed,
    };
    Ok(OpenAiBatchView {
        id: ids::batch_text(batch.id),
        object: "batch".into(),
        endpoint: PATH.to_owned(),
        errors,
        input_file_id: ids::file_text(batch.input),
        completion_window: batch.window,
        status: status.into(),
        output_file_id: batch.output.map(ids::file_text),
        error_file_id: batch.error_file.map(ids::file_text),
        created_at: batch.created_at.unix_timestamp(),
        in_progress_at: stamp(batch.in_progress_at),
        expires_at: stamp(Some(batch.expires_at)),
        finalizing_at: stamp(batch.finalizing_at),
        completed_at: ended("completed"),
        failed_at: ended("failed"),
        expired_at: ended("expired"),
        cancelling_at: stamp(batch.cancelling_at),
        cancelled_at: ended("cancelled"),
        request_counts: OpenAiRequestCounts {
            total: batch.lines,
            completed: batch.completed,
            failed,
        },
        metadata: metadata
            .map(serde_json::from_value)
            .transpose()
            .map_err(read)?,
    })
}

/// The time that a window names.
fn window(text: &str) -> Result<Duration, Problem> {
    let hours = [("h", 1), ("d", 24)].into_iter().find_map(|(unit, hours)| {
        let digits = text.strip_suffix(unit)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        let number: u64 = digits.parse().ok().filter(|_| plain)?;
        number.checked_mul(hours)
    });
    match hours {
        Some(hours @ 1..=HOURS_MAX) => Ok(Duration::from_secs(hours * 3_600)),
        _ => {
            let says = "must be from 1h to 720h, or from 1d to 30d, such as 24h";
            Err(Problem::field("completion_window", says))
        }
    }
}

fn metadata(given: &BTreeMap<String, String>) -> Result<serde_json::Map<String, Value>, Problem> {
    let fits = |(name, text): (&String, &String)| {
        name.chars().count() <= METADATA_NAME_CHARS && text.chars().count() <= METADATA_TEXT_CHARS
    };
    if given.len() > METADATA_MAX || !given.iter().all(fits) {
        let says = "must have at most 16 entries, with names of up to 64 characters and texts of up to 512";
        return Err(Problem::field("metadata", says));
    }
    let entries = given.iter();
    Ok(entries
        .map(|(name, text)| (name.clone(), Value::String(text.clone())))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_hours_or_days() {
        for (text, hours) in [
            ("24h", 24),
            ("1h", 1),
            ("720h", 720),
            ("1d", 24),
            ("30d", 720),
        ] {
            let read = window(text).unwrap();
            assert_eq!(read, Duration::from_secs(hours * 3_600), "{text}");
        }
        for text in [
            "",
            "h",
            "0h",
            "721h",
            "31d",
            "24",
            "24 h",
            "+1h",
            "024h",
            "99999999999999999999d",
        ] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
