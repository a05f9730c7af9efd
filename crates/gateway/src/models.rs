//! `/v1/models`: what edits may name.

use std::collections::BTreeMap;

use axum::{Json, extract};
use limekiln_jobs::ModelName;
use limekiln_jobs::api::{Model, Models};

use crate::State;
use crate::auth::Tenant;
use crate::problem::Problem;

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
    let others = settings
        .presets
        .iter()
        .filter(|preset| **preset != settings.preset);
    let presets = std::iter::once(&settings.preset).chain(others);
    Ok(Json(Models {
        object: "list".into(),
        data: models.into_values().collect(),
        presets: presets.cloned().collect(),
    }))
}
