//! `/v1/admin`: what operators see and do.

pub(crate) mod sources;
pub(crate) mod tenants;

use axum::{Json, extract};
use limekiln_jobs::api::{
    DeadLetterPage, DeadLetterQuery, Drained, Paused, Queues, RetriedEdit, Workers,
};
use limekiln_jobs::{EditId, WorkerId};
use limekiln_store::Retried;

use crate::State;
use crate::auth::Admin;
use crate::params::{self, PathId, Query};
use crate::problem::{Problem, ProblemCode};

/// List the workers
#[utoipa::path(
    get, path = "/v1/admin/workers", operation_id = "listWorkers", tag = "admin",
    responses((status = 200, description = "The workers, oldest first", body = Workers)),
)]
pub(crate) async fn workers(
    extract::State(state): extract::State<State>,
    _: Admin,
) -> Result<Json<Workers>, Problem> {
    let workers = state.services.store.worker_list().await?;
    Ok(Json(Workers { workers }))
}

/// List the queues
#[utoipa::path(
    get, path = "/v1/admin/queues", operation_id = "listQueues", tag = "admin",
    responses((status = 200, description = "The queues that are not empty", body = Queues)),
)]
pub(crate) async fn queues(
    extract::State(state): extract::State<State>,
    _: Admin,
) -> Result<Json<Queues>, Problem> {
    Ok(Json(Queues {
        paused: state.services.store.fleet_paused().await?,
        queues: state.services.store.queue_counts().await?,
    }))
}

/// List dead letters, newest first
///
/// A dead letter is an edit that failed for another reason than its request: its workers died, or failed in its course.
#[utoipa::path(
    get, path = "/v1/admin/dead-letters", operation_id = "listDeadLetters", tag = "admin",
    params(DeadLetterQuery),
    responses((status = 200, description = "A page of dead letters", body = DeadLetterPage)),
)]
pub(crate) async fn dead_letters(
    extract::State(state): extract::State<State>,
    _: Admin,
    Query(query): Query<DeadLetterQuery>,
) -> Result<Json<DeadLetterPage>, Problem> {
    let limit = params::limit(query.limit)?;
    let cursor = query.cursor.map(|text| params::id("cursor", &text));
    let store = &state.services.store;
    Ok(Json(store.dead_letters(cursor.transpose()?, limit).await?))
}

/// Try a failed edit again
#[utoipa::path(
    post, path = "/v1/admin/edits/{id}/retry", operation_id = "retryEdit", tag = "admin",
    params(("id" = EditId, Path, description = "Id of the edit, of any tenant")),
    responses((status = 200, description = "Queued again, with all its attempts", body = RetriedEdit)),
    extensions(("x-problems" = json!([ProblemCode::EditNotFound, ProblemCode::EditNotFailed]))),
)]
pub(crate) async fn retry(
    extract::State(state): extract::State<State>,
    _: Admin,
    PathId(edit): PathId<EditId>,
) -> Result<Json<RetriedEdit>, Problem> {
    match state.services.submitter.retry(edit).await? {
        Retried::Queued { seq } => Ok(Json(RetriedEdit { edit, seq })),
        Retried::NotFailed(found) => Err(Problem::new(
            ProblemCode::EditNotFailed,
            format!(
                "the edit is {found}: only failed edits whose parents have results can be retried"
            ),
        )),
        Retried::Missing => Err(Problem::plain(ProblemCode::EditNotFound)),
    }
}

/// Pause the fleet
///
/// Edits are still accepted, and running ones go on, but no more are handed to workers.
#[utoipa::path(
    post, path = "/v1/admin/pause", operation_id = "pauseFleet", tag = "admin",
    responses((status = 200, description = "The fleet is paused", body = Paused)),
)]
pub(crate) async fn pause(
    extract::State(state): extract::State<State>,
    _: Admin,
) -> Result<Json<Paused>, Problem> {
    state.services.store.fleet_pause().await?;
    Ok(Json(Paused { paused: true }))
}

/// Resume the fleet after a pause
#[utoipa::path(
    post, path = "/v1/admin/resume", operation_id = "resumeFleet", tag = "admin",
    responses((status = 200, description = "The fleet is not paused", body = Paused)),
)]
pub(crate) async fn resume(
    extract::State(state): extract::State<State>,
    _: Admin,
) -> Result<Json<Paused>, Problem> {
    state.services.store.fleet_resume().await?;
    state.services.broker.wake();
    Ok(Json(Paused { paused: false }))
}

/// Drain one worker
///
/// It takes no more edits, and ends when those at hand have ended.
#[utoipa::path(
    post, path = "/v1/admin/workers/{id}/drain", operation_id = "drainWorker", tag = "admin",
    params(("id" = WorkerId, Path, description = "Id of the worker")),
    responses((status = 200, description = "The worker is told with its next heartbeat", body = Drained)),
    extensions(("x-problems" = json!([ProblemCode::WorkerNotFound]))),
)]
pub(crate) async fn drain(
    extract::State(state): extract::State<State>,
    _: Admin,
    PathId(id): PathId<WorkerId>,
) -> Result<Json<Drained>, Problem> {
    match state.services.store.worker_drain(Some(id), true).await? {
        0 => Err(Problem::plain(ProblemCode::WorkerNotFound)),
        workers => Ok(Json(Drained { workers })),
    }
}

/// Drain all workers
///
/// They take no more edits, and end when those at hand have ended.
#[utoipa::path(
    post, path = "/v1/admin/drain", operation_id = "drainFleet", tag = "admin",
    responses((status = 200, description = "The workers are told with their next heartbeats", body = Drained)),
)]
pub(crate) async fn drain_all(
    extract::State(state): extract::State<State>,
    _: Admin,
) -> Result<Json<Drained>, Problem> {
    let workers = state.services.store.worker_drain(None, true).await?;
    Ok(Json(Drained { workers }))
}
