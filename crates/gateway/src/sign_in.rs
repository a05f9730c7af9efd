//! Signing in to the page with a key: a cookie that only this gateway's own page can use, and that ends with the key.

use std::time::Duration;

use axum::extract;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::Url;

use crate::State;
use crate::auth::{self, Tenant};
use crate::problem::{Problem, ProblemCode};

/// How long somebody stays signed in.
const LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// Sign in to the page
///
/// With a key, or with the link that `limekiln dev` prints, whose first use spends it. The answer sets a cookie that stands for the
/// key: it ends after two weeks, when one signs out, and with the key, and is taken from this server's own pages alone.
#[utoipa::path(
    post, path = "/v1/sign-in", operation_id = "signIn", tag = "account",
    responses((status = 204, description = "The cookie is in Set-Cookie",
        headers(("Set-Cookie" = String, description = "The cookie")))),
)]
pub(crate) async fn sign_in(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = &state.services.store;
    let secret = store.sign_in(caller.key, LIFETIME).await?;
    Ok(cookie(
        &state,
        &headers,
        secret.expose(),
        LIFETIME.as_secs(),
    ))
}

/// Sign out of the page
///
/// The cookie ends. Whoever is signed out already gets the same answer.
#[utoipa::path(
    post, path = "/v1/sign-out", operation_id = "signOut", tag = "account",
    responses((status = 204, description = "The cookie is gone",
        headers(("Set-Cookie" = String, description = "An empty cookie")))),
)]
pub(crate) async fn sign_out(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(secret) = token(&headers) {
        state.services.store.sign_out(secret).await?;
        state.keys.forget(secret);
    }
    Ok(cookie(&state, &headers, "", 0))
}

/// The secret in this gateway's cookie.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let name = name(headers);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .filter(|value| auth::is_secret(value, "ls_"))
}

/// Whether a request with the cookie comes from a page of this gateway, or from somebody who opened its address: browsers say so,
/// and no page can say it for them. Cookies of one host are sent to all its ports, so being of the same site is not enough.
pub(crate) fn ours(method: &Method, headers: &HeaderMap, public: Option<&Url>) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let safe = matches!(*method, Method::GET | Method::HEAD);
    let origin = text("origin");
    // An address without TLS that is not of this machine is told of the origin alone.
    match (text("sec-fetch-site"), origin) {
        (Some("none"), None) => safe,
        (Some("same-origin"), None) => true,
        (Some("same-origin") | None, Some(origin)) => own(origin, text("host"), public),
        (None, None) => safe,
        _ => false,
    }
}

/// Whether an origin is the address that the request was sent to, or the one that clients know.
fn own(origin: &str, host: Option<&str>, public: Option<&Url>) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let asked = authority.is_some() && authority == host;
    asked || public.is_some_and(|url| url.origin().ascii_serialization() == origin)
}

/// Two gateways on one host share its cookies, so the name says which port it is of.
fn name(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let port = host
        .and_then(|host| host.rsplit_once(':'))
        .map(|(_, port)| port)
        .filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    match port {
        Some(port) => format!("limekiln_{port}"),
        None => "limekiln".to_owned(),
    }
}

fn cookie(state: &State, headers: &HeaderMap, secret: &str, seconds: u64) -> Response {
    let public = state.settings.public_url.as_ref();
    let forwarded = headers.get("x-forwarded-proto");
    let encrypted = public.is_some_and(|url| url.scheme() == "https")
        || forwarded.is_some_and(|scheme| scheme == "https");
    let secure = if encrypted { "; Secure" } else { "" };
    let cookie = format!(
        "{}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}",
        name(headers)
    );
    match HeaderValue::from_str(&cookie) {
        Ok(cookie) => (
            StatusCode::NO_CONTENT,
            [
                (header::SET_COOKIE, cookie),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ],
        )
            .into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

/// Refuses a cookie that comes from elsewhere.
pub(crate) fn elsewhere() -> Problem {
    Problem::new(
        ProblemCode::Unauthorized,
        "a cookie counts from this server's own pages alone: send `Authorization: Bearer lk_...`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                name.parse::<header::HeaderName>().unwrap(),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn other_pages_are_not_ours() {
        let public = Url::parse("https://kiln.example/").unwrap();
        let here = ("host", "127.0.0.1:8080");
        for (said, reads, writes) in [
            (vec![here], true, false),
            (vec![here, ("sec-fetch-site", "none")], true, false),
            (vec![here, ("sec-fetch-site", "same-origin")], true, true),
            (vec![here, ("origin", "http://127.0.0.1:8080")], true, true),
            (vec![here, ("origin", "https://kiln.example")], true, true),
            (
                vec![
                    here,
                    ("sec-fetch-site", "same-site"),
                    ("origin", "http://127.0.0.1:3000"),
                ],
                false,
                false,
            ),
            (
                vec![
                    here,
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "https://evil.example"),
                ],
                false,
                false,
            ),
            (vec![here, ("sec-fetch-site", "cross-site")], false, false),
            (
                vec![here, ("origin", "http://127.0.0.1:3000")],
                false,
                false,
            ),
            (vec![here, ("origin", "null")], false, false),
            (vec![("origin", "http://a")], false, false),
        ] {
            let headers = headers(&said);
            assert_eq!(
                ours(&Method::GET, &headers, Some(&public)),
                reads,
                "{said:?}"
            );
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                assert_eq!(ours(&method, &headers, Some(&public)), writes, "{said:?}");
            }
        }
    }

    #[test]
    fn each_port_has_a_cookie_of_its_own() {
        for (host, expected) in [
            ("kiln.example", "limekiln"),
            ("127.0.0.1:8080", "limekiln_8080"),
            ("[::1]", "limekiln"),
            ("[::1]:9", "limekiln_9"),
        ] {
            assert_eq!(name(&headers(&[("host", host)])), expected);
        }
    }
}
