//! The routes: which handler answers which path.

use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::openapi::Api;
use crate::problem::{Problem, ProblemCode};
use crate::{
    State, account, admin, docs, edits, health, images, layers, models, openai,
    openapi as description, sessions,
};

/// The whole API as a service. [`serve`](crate::serve()) adds the bounds on connections.
pub fn router(state: State) -> Router {
    let (router, document) = parts(&state);
    router
        .route(
            "/openapi.json",
            get(move || std::future::ready(Json(document.clone()))),
        )
        .route("/docs", get(docs::page))
        .route(
            "/",
            get(|| std::future::ready(Redirect::temporary("/docs"))),
        )
        .fallback(|| std::future::ready(Problem::plain(ProblemCode::NotFound)))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(from_fn(layers::observe))
        .with_state(state)
}

/// The API's description (OpenAPI 3.1), as `/openapi.json` shows it.
pub fn openapi(state: &State) -> Value {
    parts(state).1
}

fn parts(state: &State) -> (Router<State>, Value) {
    let bounded = OpenApiRouter::new()
        .routes(routes!(images::get))
        .routes(routes!(images::content))
        .routes(routes!(edits::submit::create, edits::read::list))
        .routes(routes!(edits::read::get))
        .routes(routes!(edits::cancel::cancel))
        .routes(routes!(edits::events::watch))
        .routes(routes!(edits::artifacts::result))
        .routes(routes!(edits::artifacts::roi))
        .routes(routes!(edits::artifacts::segments))
        .routes(routes!(edits::artifacts::attention))
        .routes(routes!(edits::artifacts::overlay))
        .routes(routes!(edits::artifacts::report))
        .routes(routes!(sessions::create))
        .routes(routes!(sessions::get))
        .routes(routes!(models::list))
        .routes(routes!(account::me))
        .routes(routes!(admin::workers))
        .routes(routes!(admin::drain))
        .routes(routes!(admin::drain_all))
        .routes(routes!(admin::queues))
        .routes(routes!(admin::dead_letters))
        .routes(routes!(admin::retry))
        .routes(routes!(admin::pause))
        .routes(routes!(admin::resume))
        .route_layer(from_fn_with_state(state.clone(), layers::bounded));
    let uploads = OpenApiRouter::new()
        .routes(routes!(images::create))
        .route_layer(from_fn_with_state(state.clone(), layers::bounded_upload));
    // The OpenAI route bounds its own waits, and probes must be answered even when no more requests are.
    let unbounded = OpenApiRouter::new()
        .routes(routes!(openai::edit))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics));
    let (router, api) = OpenApiRouter::with_openapi(Api::openapi())
        .merge(bounded)
        .merge(uploads)
        .merge(unbounded)
        .split_for_parts();
    let document = description::document(&api, &state.settings);
    (router, document)
}
