//! What operators see and do: workers, queues, dead letters, pause, drain.

use axum::{Json, extract};
use limekiln_jobs::{Class, EditId, Failure, ModelName, TenantId, WorkerId};
use limekiln_store::{DeadLetter, QueueCount, Retried, Worker};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::caller::Admin;
use crate::edits::read;
use crate::params::{Asked, Id};
use crate::problem::{Code, Problem};

/// Dead letters on a page, unless the query says.
const PAGE: u32 = 20;

/// Workers that are not gone.
#[derive(Serialize, ToSchema)]
pub(crate) struct Workers {
    workers: Vec<WorkerView>,
}

/// A worker.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkerView {
    /// Its id, new with every start.
    id: WorkerId,
    /// What its operator calls it.
    #[schema(example = "gpu-3")]
    name: String,
    /// The models it holds.
    models: Vec<ModelName>,
    /// Edits it runs at once.
    slots: u32,
    /// Edits it runs now, as it said last.
    busy: u32,
    /// The program's version.
    #[schema(example = "0.1.0")]
    version: String,
    /// What it computes on.
    #[schema(example = "cpu")]
    device: String,
    /// Whether it was told to take no more.
    draining: bool,
    /// Whether it was heard of lately.
    alive: bool,
    /// When it started.
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    /// When it was last heard of.
    #[serde(with = "time::serde::rfc3339")]
    seen_at: OffsetDateTime,
}

impl From<Worker> for WorkerView {
    fn from(worker: Worker) -> Self {
        let Worker {
            id,
            name,
            models,
            slots,
            busy,
            version,
            device,
            draining,
            alive,
            started_at,
            seen_at,
        } = worker;
        Self {
            id,
            name,
            models,
            slots,
            busy,
            version,
            device,
            draining,
            alive,
            started_at,
            seen_at,
        }
    }
}

/// List workers
#[utoipa::path(
    get, path = "/v1/admin/workers", operation_id = "listWorkers", tag = "admin",
    responses((status = 200, description = "Workers, oldest first", body = Workers)),
)]
pub(crate) async fn workers(
    extract::State(state): extract::State<State>,
    _: Admin,
) -> Result<Json<Workers>, Problem> {
    let workers = state.store().worker_list().await?;
    Ok(Json(Workers {
        workers: workers.into_iter().map(WorkerView::from).collect(),
    }))
}

/// Queues, and whether the fleet is paused.
#[derive(Serialize, ToSchema)]
pub(crate) struct Queues {
    /// Whether the release of edits is stopped.
    paused: bool,
    queues: Vec<QueueView>,
}

/// Edits of a model and class that have not ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct QueueView {
    model: ModelName,
    class: Class,
    /// Waiting for a turn or a retry.
    waiting: u64,
    /// To be announced.
    queued: u64,
    /// Announced to the workers and not taken yet.
    announced: u64,
    /// Being worked at.
    running: u64,
    /// Age of the oldest that no worker has taken, in seconds.
    oldest_queued_s: f64,
    /// Longest time since a lease expired without being taken, in seconds.
    lease_overdue_s: f64,
}

impl From<QueueCount> for QueueView {
    fn from(count: QueueCount) -> Self {
        let QueueCount {
            model,
            class,
            waiting,
            queued,
            announced,
            running,
            oldest_queued_s,
            lease_overdue_s,
        } = count;
        Self {
            model,
            class,
            waiting,
            queued,
            announced,
            running,
            oldest_queued_s,
            lease_overdue_s,
        }
    }
}

/// List queues
#[utoipa::path(
    get, path = "/v1/admin/queues", operation_id = "listQueues", tag = "admin",
    responses((status = 200, description = "Queues that are not empty", body = Queues)),
)]
pub(crate) async fn queues(
    extract::State(state): extract::State<State>,
    _: Admin,
) -> Result<Json<Queues>, Problem> {
    let paused = state.store().fleet_paused().await?;
    let counts = state.store().queue_counts().await?;
    Ok(Json(Queues {
        paused,
        queues: counts.into_iter().map(QueueView::from).collect(),
    }))
}

/// Where the page starts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadLettersQuery {
    /// Dead letters on the page; 20 without it.
    #[param(minimum = 1, maximum = 100, example = 20)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(value_type = Option<EditId>)]
    cursor: Option<String>,
}

/// A page of dead letters, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetters {
    dead_letters: Vec<DeadLetterView>,
    /// `cursor` of the next page; null on the last.
    next: Option<EditId>,
}

/// An edit that failed, and not through its user's doing.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetterView {
    edit: EditId,
    tenant: TenantId,
    model: ModelName,
    class: Class,
    error: Failure,
    /// Deaths and failures without progress.
    attempts: u16,
    /// The last worker that held it.
    worker: Option<WorkerId>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    finished_at: OffsetDateTime,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter {
            edit,
            tenant,
            model,
            class,
            failure,
            attempts,
            worker,
            finished_at,
        } = letter;
        Self {
            edit,
            tenant,
            model,
            class,
            error: failure,
            attempts,
            worker,
            finished_at,
        }
    }
}

/// List dead letters, newest first
#[utoipa::path(
    get, path = "/v1/admin/dead-letters", operation_id = "listDeadLetters", tag = "admin",
    params(DeadLettersQuery),
    responses((status = 200, description = "A page", body = DeadLetters)),
    extensions(("x-problems" = json!(["parameter_invalid"]))),
)]
pub(crate) async fn dead_letters(
    extract::State(state): extract::State<State>,
    _: Admin,
    Asked(query): Asked<DeadLettersQuery>,
) -> Result<Json<DeadLetters>, Problem> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=100).contains(&limit) {
        return Err(Problem::parameter("limit", "must be from 1 to 100"));
    }
    let cursor = query
        .cursor
        .map(|text| read::id("cursor", &text))
        .transpose()?;
    let page = state.store().dead_letters(cursor, limit).await?;
    let dead_letters = page.letters.into_iter().map(DeadLetterView::from).collect();
    Ok(Json(DeadLetters {
        dead_letters,
        next: page.next,
    }))
}

/// An edit that was queued again.
#[derive(Serialize, ToSchema)]
pub(crate) struct RetriedView {
    edit: EditId,
    /// Number of its newest event.
    seq: u64,
}

/// Try a failed edit again
#[utoipa::path(
    post, path = "/v1/admin/edits/{id}/retry", operation_id = "retryEdit", tag = "admin",
    params(("id" = EditId, Path, description = "The edit, of any tenant")),
    responses((status = 200, description = "Queued again, with all its attempts", body = RetriedView)),
    extensions(("x-problems" = json!(["parameter_invalid", "edit_not_found", "edit_not_failed"]))),
)]
pub(crate) async fn retry(
    extract::State(state): extract::State<State>,
    _: Admin,
    Id(edit): Id<EditId>,
) -> Result<Json<RetriedView>, Problem> {
    match state.submitter().retry(edit).await? {
        Retried::Queued { seq } => Ok(Json(RetriedView { edit, seq })),
        Retried::NotFailed(found) => Err(Problem::new(
            Code::EditNotFailed,
            format!(
                "the edit is {found}: only failed edits whose parents have results can be retried"
            ),
        )),
        Retried::Missing => Err(Problem::plain(Code::EditNotFound)),
    }
}

/// Whether the fleet is paused.
#[derive(Serialize, ToSchema)]
pub(crate) struct Paused {
    /// Whether the release of edits is stopped.
    paused: bool,
}

/// Stop the release of edits; running ones go on
#[utoipa::path(
    post, path = "/v1/admin/pause", operation_id = "pauseFleet", tag = "admin",
    responses((status = 200, description = "Paused", body = Paused)),
)]
pub(crate) async fn pause(
    extract::State(state): extract::State<State>,
    _: Admin,
) -> Result<Json<Paused>, Problem> {
    state.store().fleet_pause().await?;
    Ok(Json(Paused { paused: true }))
}

/// Let the release go on
#[utoipa::path(
    post, path = "/v1/admin/resume", operation_id = "resumeFleet", tag = "admin",
    responses((status = 200, description = "Not paused", body = Paused)),
)]
pub(crate) async fn resume(
    extract::State(state): extract::State<State>,
    _: Admin,
) -> Result<Json<Paused>, Problem> {
    state.store().fleet_resume().await?;
    state.broker().wake();
    Ok(Json(Paused { paused: false }))
}

/// Workers that were told to drain.
#[derive(Serialize, ToSchema)]
pub(crate) struct Drained {
    /// How many.
    workers: u64,
}

/// Tell a worker to take no more edits
#[utoipa::path(
    post, path = "/v1/admin/workers/{id}/drain", operation_id = "drainWorker", tag = "admin",
    params(("id" = WorkerId, Path, description = "The worker")),
    responses((status = 200, description = "Told with its next heartbeat", body = Drained)),
    extensions(("x-problems" = json!(["parameter_invalid", "worker_not_found"]))),
)]
pub(crate) async fn drain(
    extract::State(state): extract::State<State>,
    _: Admin,
    Id(id): Id<WorkerId>,
) -> Result<Json<Drained>, Problem> {
    match state.store().worker_drain(Some(id), true).await? {
        0 => Err(Problem::plain(Code::WorkerNotFound)),
        workers => Ok(Json(Drained { workers })),
    }
}

/// Tell all workers to take no more edits
#[utoipa::path(
    post, path = "/v1/admin/drain", operation_id = "drainFleet", tag = "admin",
    responses((status = 200, description = "Told with their next heartbeats", body = Drained)),
)]
pub(crate) async fn drain_all(
    extract::State(state): extract::State<State>,
    _: Admin,
) -> Result<Json<Drained>, Problem> {
    let workers = state.store().worker_drain(None, true).await?;
    Ok(Json(Drained { workers }))
}
