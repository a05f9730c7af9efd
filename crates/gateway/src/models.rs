//! `/v1/models`: what edits may name.

use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::{Json, extract};
use limekiln_jobs::ModelName;
use limekiln_jobs::api::{Model, Models};

use crate::State;
use crate::auth::Tenant;
use crate::problem::{Problem, ProblemCode};

/// List the models and presets
#[utoipa::path(
    get, path = "/v1/models", operation_id = "listModels", tag = "account",
    responses((status = 200, description = "The models and presets", body = Models)),
)]
pub(crate) async fn list(
    extract::State(state): extract::State<State>,
    _: Tenant,
) -> Result<Json<Models>, Problem> {
    let settings = &state.settings;
    let others = settings
        .presets
        .iter()
        .filter(|preset| **preset != settings.preset);
    let presets = std::iter::once(&settings.preset).chain(others);
    Ok(Json(Models {
        object: "list".into(),
        data: models(&state).await?.into_values().collect(),
        presets: presets.cloned().collect(),
    }))
}

/// Show a model
#[utoipa::path(
    get, path = "/v1/models/{model}", operation_id = "getModel", tag = "account",
    params(("model" = String, Path, description = "Name of the model", pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")),
    responses((status = 200, description = "The model", body = Model)),
    extensions(("x-problems" = json!([ProblemCode::ModelNotFound]))),
)]
pub(crate) async fn get(
    extract::State(state): extract::State<State>,
    _: Tenant,
    path: Result<extract::Path<String>, PathRejection>,
) -> Result<Json<Model>, Problem> {
    let extract::Path(name) =
        path.map_err(|_| Problem::new(ProblemCode::Malformed, "the path is not UTF-8"))?;
    let found = match name.parse::<ModelName>() {
        Ok(name) => models(&state).await?.remove(&name),
        Err(_) => None,
    };
    let unknown = || {
        let detail = "there is no such model: see GET /v1/models";
        Problem::new(ProblemCode::ModelNotFound, detail)
    };
    found.map(Json).ok_or_else(unknown)
}

/// The models that edits may name.
async fn models(state: &State) -> Result<BTreeMap<ModelName, Model>, Problem> {
    let settings = &state.settings;
    let model = |id: &ModelName| Model {
        id: id.clone(),
        object: "model".into(),
        created: 0,
        owned_by: "limekiln".into(),
        default: settings.models.first() == Some(id),
        workers: 0,
        slots: 0,
        busy: 0,
        limits: None,
    };
    let configured = settings.models.iter().map(|id| (id.clone(), model(id)));
    let mut models: BTreeMap<ModelName, Model> = configured.collect();
    let workers = state.workers.workers().await?;
    for worker in workers.iter().filter(|worker| worker.alive) {
        for id in &worker.models {
            let held = models.entry(id.clone()).or_insert_with(|| model(id));
            held.workers += 1;
            held.slots += u64::from(worker.slots);
            held.busy += u64::from(worker.busy);
        }
    }
    for (id, model) in &mut models {
        model.limits = state.workers.limits(id).await?;
    }
    Ok(models)
}
