//! The page that shows the API's description to people.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

/// The page is one file: it loads nothing but `/openapi.json`.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'";

pub(crate) async fn page() -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(include_str!("../web/docs.html"))).into_response()
}
