//! What edits may name: models and presets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract;
use limekiln_jobs::ModelName;
use limekiln_store::Worker;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::State;
use crate::caller::Tenant;
use crate::problem::Problem;

/// How old the list of workers may be.
const AGE_MAX: Duration = Duration::from_secs(2);

/// The workers, read every few seconds at most.
#[derive(Default)]
pub(crate) struct Fleet(Mutex<Option<(Instant, Arc<[Worker]>)>>);

impl Fleet {
    async fn workers(&self, state: &State) -> Result<Arc<[Worker]>, Problem> {
        let mut known = self.0.lock().await;
        match &*known {
            Some((at, workers)) if at.elapsed() < AGE_MAX => Ok(workers.clone()),
            _ => {
                let workers: Arc<[Worker]> = state.store().worker_list().await?.into();
                *known = Some((Instant::now(), workers.clone()));
                Ok(workers)
            }
        }
    }
}

/// Whether edits may name this model: it is configured here, or a living worker holds it.
pub(crate) async fn is_known(state: &State, model: &ModelName) -> Result<bool, Problem> {
    if state.settings().models.contains(model) {
        return Ok(true);
    }
    let workers = state.fleet().workers(state).await?;
    Ok(workers
        .iter()
        .any(|worker| worker.alive && worker.models.contains(model)))
}

/// Models, in the form that OpenAI's clients read, and presets.
#[derive(Serialize, ToSchema)]
pub(crate) struct Models {
    /// Always `list`.
    #[schema(example = "list")]
    object: &'static str,
    data: Vec<Model>,
    /// Presets that edits may start from; the first is meant when an edit names none.
    #[schema(example = json!(["fast", "paper"]))]
    presets: Vec<String>,
}

/// A model.
#[derive(Serialize, ToSchema)]
pub(crate) struct Model {
    /// Its name.
    id: ModelName,
    /// Always `model`.
    #[schema(example = "model")]
    object: &'static str,
    /// Always 0.
    created: u64,
    /// Always `limekiln`.
    #[schema(example = "limekiln")]
    owned_by: &'static str,
    /// Whether it is meant when an edit names none.
    default: bool,
    /// Living workers that hold it.
    workers: u64,
    /// Edits they run at once.
    slots: u64,
    /// Edits they run now.
    busy: u64,
}

/// List models and presets
#[utoipa::path(
    get, path = "/v1/models", operation_id = "listModels", tag = "account",
    responses((status = 200, description = "Models and presets", body = Models)),
)]
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    _tenant: Tenant,
) -> Result<Json<Models>, Problem> {
    let settings = state.settings();
    let mut models: BTreeMap<&ModelName, (u64, u64, u64)> = settings
        .models
        .iter()
        .map(|model| (model, (0, 0, 0)))
        .collect();
    let workers = state.fleet().workers(&state).await?;
    for worker in workers.iter().filter(|worker| worker.alive) {
        for model in &worker.models {
            let (count, slots, busy) = models.entry(model).or_default();
            *count += 1;
            *slots += u64::from(worker.slots);
            *busy += u64::from(worker.busy);
        }
    }
    let data = models
        .into_iter()
        .map(|(model, (workers, slots, busy))| Model {
            id: model.clone(),
            object: "model",
            created: 0,
            owned_by: "limekiln",
            default: settings.models.first() == Some(model),
            workers,
            slots,
            busy,
        });
    let others = settings
        .presets
        .iter()
        .filter(|preset| **preset != settings.preset);
    let presets = std::iter::once(&settings.preset)
        .chain(others)
        .cloned()
        .collect();
    Ok(Json(Models {
        object: "list",
        data: data.collect(),
        presets,
    }))
}
