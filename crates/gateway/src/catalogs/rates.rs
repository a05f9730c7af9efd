//! How long edits take, for whoever plans a catalog.

use axum::Json;
use axum::extract;
use limekiln_jobs::api::{Rates, RatesQuery};

use crate::State;
use crate::auth::Tenant;
use crate::edits::submit;
use crate::params::Query;
use crate::problem::{Problem, ProblemCode};

/// Characters of a preset's name, at most.
const PRESET_CHARS_MAX: usize = 100;

/// Show how long edits take
///
/// By the tenant's newest edits of a model and a preset: those that looked for their region, and those that took it over from an earlier
/// edit of the picture, as all colors of an object but the first do.
#[utoipa::path(
    get, path = "/v1/rates", operation_id = "getRates", tag = "catalogs",
    params(RatesQuery),
    responses((status = 200, description = "How long they take", body = Rates)),
    extensions(("x-problems" = json!([ProblemCode::RequestInvalid, ProblemCode::ModelNotFound]))),
)]
pub(crate) async fn rates(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Query(query): Query<RatesQuery>,
) -> Result<Json<Rates>, Problem> {
    let model = submit::model(&state, query.model.as_deref()).await?;
    let preset = query
        .preset
        .unwrap_or_else(|| state.settings.preset.clone());
    if preset.chars().count() > PRESET_CHARS_MAX || preset.chars().any(char::is_control) {
        return Err(Problem::parameter("preset", "is no preset's name"));
    }
    let workers = state.workers.workers().await?;
    let slots = workers
        .iter()
        .filter(|worker| worker.alive && worker.models.contains(&model))
        .map(|worker| u64::from(worker.slots))
        .sum();
    let store = &state.services.store;
    let (first, further) = store.edits_rates(caller.tenant, &model, &preset).await?;
    Ok(Json(Rates {
        model: model.to_string(),
        preset,
        slots,
        first,
        further,
    }))
}
