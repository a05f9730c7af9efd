//! The routes: which handler answers which path, on the public port and on the status port.

use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::Value;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::openapi::Api;
use crate::problem::{Problem, ProblemCode};
use crate::{
    State, account, admin, admission, catalogs, cors, docs, edits, health, images, layers, models,
    openai, openapi as description, segmentations, sessions, sign_in, studio, webhooks,
};

/// What the public port serves. [`serve`](crate::serve()) adds the bounds on connections.
pub fn router(state: State) -> Router {
    let routes = public(&state);
    let layer = cors::layer(&state.settings.origins);
    let mut pages = Router::new()
        .route("/", get(studio::page))
        .route("/studio/{name}", get(studio::part));
    for (path, instead) in openai::NOT_OFFERED {
        let refused = move || std::future::ready(Problem::new(ProblemCode::NotFound, instead));
        pages = pages.route(path, any(refused));
    }
    if state.settings.admin_public {
        pages = pages.route("/fleet", get(studio::fleet));
    }
    let router = whole(state, routes, pages, missing);
    // Outermost, so that a page can read what was refused, too.
    match layer {
        Some(layer) => router.layer(layer),
        None => router,
    }
}

/// What the status port of a gateway serves: health in detail, metrics, and the admin routes.
pub fn operator_router(state: State) -> Router {
    let signs = OpenApiRouter::new()
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(sign_in::sign_out))
        .route_layer(from_fn_with_state(state.clone(), admission::bounded));
    let routes = OpenApiRouter::with_openapi(Api::openapi())
        .merge(admins(&state))
        .merge(signs)
        .merge(operations());
    let pages = Router::new()
        .route("/fleet", get(studio::fleet))
        .route("/studio/{name}", get(studio::fleet_part))
        .route(
            "/",
            get(|| std::future::ready(Redirect::temporary("/fleet"))),
        );
    whole(state, routes, pages, missing_for_operators)
}

/// The API's description (OpenAPI 3.1), as `/openapi.json` of the public port shows it.
pub fn openapi(state: &State) -> Value {
    let api = public(state).split_for_parts().1;
    description::document(&api, &state.settings)
}

/// These routes with the pages that describe them, and what surrounds every request.
fn whole(
    state: State,
    routes: OpenApiRouter<State>,
    pages: Router<State>,
    missing: fn(&str) -> Option<&'static str>,
) -> Router {
    let (router, api) = routes.split_for_parts();
    let document = description::document(&api, &state.settings);
    router
        .merge(pages)
        .route(
            "/openapi.json",
            get(move || std::future::ready(Json(document.clone()))),
        )
        .route("/docs", get(docs::page))
        .fallback(async move |uri: Uri| match missing(uri.path()) {
            Some(detail) => Problem::new(ProblemCode::NotFound, detail),
            None => Problem::plain(ProblemCode::NotFound),
        })
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(from_fn_with_state(state.clone(), layers::observe))
        .with_state(state)
}

/// Where to find what the public port lacks.
fn missing(path: &str) -> Option<&'static str> {
    (path.starts_with("/v1/admin") || path == "/metrics").then_some(
        "this is not on the gateway's public port: ask its status port (`limekiln serve --status`)",
    )
}

/// Where to find what the status port lacks.
fn missing_for_operators(path: &str) -> Option<&'static str> {
    path.starts_with("/v1/").then_some(
        "this is a gateway's status port: the API is on its public port (`limekiln serve --listen`)",
    )
}

fn public(state: &State) -> OpenApiRouter<State> {
    let settings = &state.settings;
    let mut routes = OpenApiRouter::with_openapi(Api::openapi()).merge(tenants(state));
    if settings.admin_public {
        routes = routes.merge(admins(state));
    }
    if settings.status_public {
        return routes.merge(operations());
    }
    routes.merge(
        OpenApiRouter::new()
            .routes(routes!(health::health))
            .routes(routes!(health::ready)),
    )
}

/// For tenants.
fn tenants(state: &State) -> OpenApiRouter<State> {
    let bounded = OpenApiRouter::new()
        .routes(routes!(images::get, images::delete))
        .routes(routes!(images::content))
        .routes(routes!(edits::submit::create, edits::read::list))
        .routes(routes!(edits::read::get, edits::delete::delete))
        .routes(routes!(edits::cancel::cancel))
        .routes(routes!(edits::events::watch))
        .routes(routes!(edits::result::result))
        .routes(routes!(edits::artifacts::roi))
        .routes(routes!(edits::artifacts::segments))
        .routes(routes!(edits::artifacts::attention))
        .routes(routes!(edits::overlay::overlay))
        .routes(routes!(edits::artifacts::matte))
        .routes(routes!(edits::artifacts::report))
        .routes(routes!(
            segmentations::images::create,
            segmentations::images::get
        ))
        .routes(routes!(segmentations::images::labels))
        .routes(routes!(
            segmentations::edits::create,
            segmentations::edits::get
        ))
        .routes(routes!(segmentations::edits::labels))
        .routes(routes!(sessions::read::create, sessions::read::list))
        .routes(routes!(
            sessions::read::get,
            sessions::read::rename,
            sessions::delete::delete
        ))
        .routes(routes!(sessions::turns::create))
        .routes(routes!(sessions::head::post))
        .routes(routes!(sessions::branches::create))
        .routes(routes!(
            sessions::branches::change,
            sessions::branches::delete
        ))
        .routes(routes!(sessions::events::watch))
        .routes(routes!(catalogs::read::create, catalogs::read::list))
        .routes(routes!(catalogs::read::get))
        .routes(routes!(catalogs::rows::add, catalogs::rows::list))
        .routes(routes!(catalogs::control::seal))
        .routes(routes!(catalogs::control::pause))
        .routes(routes!(catalogs::control::resume))
        .routes(routes!(catalogs::control::cancel))
        .routes(routes!(catalogs::control::retry))
        .routes(routes!(catalogs::control::priority))
        .routes(routes!(catalogs::decide::decide))
        .routes(routes!(catalogs::results::results))
        .routes(routes!(catalogs::events::watch))
        .routes(routes!(catalogs::rates::rates))
        .routes(routes!(openai::files::list))
        .routes(routes!(openai::files::get, openai::files::delete))
        .routes(routes!(openai::files::content))
        .routes(routes!(openai::batches::create, openai::batches::list))
        .routes(routes!(openai::batches::get))
        .routes(routes!(openai::batches::cancel))
        .routes(routes!(webhooks::secret))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(models::list))
        .routes(routes!(models::get))
        .routes(routes!(account::me))
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(sign_in::sign_out))
        .route_layer(from_fn_with_state(state.clone(), admission::bounded));
    let uploads = OpenApiRouter::new()
        .routes(routes!(images::create))
        .route_layer(from_fn_with_state(state.clone(), admission::bounded_upload));
    let files = OpenApiRouter::new()
        .routes(routes!(openai::incoming::create))
        .route_layer(from_fn_with_state(state.clone(), admission::bounded_file));
    // It bounds its own waits.
    let waits = OpenApiRouter::new()
        .routes(routes!(openai::edit))
        .route_layer(from_fn_with_state(state.clone(), admission::keyed));
    bounded.merge(uploads).merge(files).merge(waits)
}

/// For operators, with keys of the role admin.
fn admins(state: &State) -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(admin::workers))
        .routes(routes!(admin::drain))
        .routes(routes!(admin::drain_all))
        .routes(routes!(admin::queues))
        .routes(routes!(admin::dead_letters))
        .routes(routes!(admin::retry))
        .routes(routes!(admin::pause))
        .routes(routes!(admin::resume))
        .routes(routes!(admin::tenants::list))
        .routes(routes!(admin::tenants::limits_set))
        .routes(routes!(admin::sources::list, admin::sources::allow))
        .routes(routes!(admin::sources::forbid))
        .route_layer(from_fn_with_state(state.clone(), admission::bounded))
}

/// For probes and Prometheus, without a key: answered even when no more requests are.
fn operations() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::ready_in_detail))
        .routes(routes!(health::metrics))
}
