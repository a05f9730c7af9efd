//! Who sends a request: `Authorization: Bearer <key>`, or the cookie of somebody who signed in to the page with one. The layer that
//! admits a request looks it up, once; handlers ask who it was.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use limekiln_jobs::api::Role;
use limekiln_store::Caller;

use crate::problem::{Problem, ProblemCode};
use crate::{State, sign_in};

/// What every key begins with.
const KEY: &str = "lk_";
/// What a link begins with, whose first use spends it.
const LINK: &str = "ll_";
/// How many hexadecimal digits follow.
const DIGITS: usize = 64;

/// The caller of any role.
#[derive(Clone, Debug)]
pub(crate) struct Tenant(pub(crate) Caller);

/// A caller of the role admin.
#[derive(Clone, Debug)]
pub(crate) struct Admin;

/// Who has the key, or the cookie, that came with the request.
pub(crate) async fn authenticate(
    state: &State,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let store = &state.services.store;
    let found = match by_cookie(headers) {
        Some(token) => {
            let public = state.settings.public_url.as_ref();
            if !sign_in::ours(method, headers, public) {
                return Err(sign_in::elsewhere());
            }
            state.keys.find(store, token).await?
        }
        None => {
            let secret = bearer(headers)?;
            if secret.starts_with(LINK) {
                state.keys.spend(store, secret).await?
            } else {
                state.keys.find(store, secret).await?
            }
        }
    };
    let caller = found.ok_or_else(|| Problem::plain(ProblemCode::Unauthorized))?;
    tracing::Span::current().record("tenant", tracing::field::display(caller.tenant));
    state.key_uses.note(caller.key);
    Ok(caller)
}

/// The cookie's secret, of a request without a key.
pub(crate) fn by_cookie(headers: &HeaderMap) -> Option<&str> {
    let keyless = !headers.contains_key(header::AUTHORIZATION);
    keyless.then(|| sign_in::token(headers)).flatten()
}

impl FromRequestParts<State> for Tenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller
            .map(Self)
            .ok_or_else(|| Problem::plain(ProblemCode::Unauthorized))
    }
}

impl FromRequestParts<State> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        match Tenant::from_request_parts(parts, state).await?.0.role {
            Role::Admin => Ok(Self),
            Role::Tenant => Err(Problem::plain(ProblemCode::Forbidden)),
        }
    }
}

/// The key, unless no key can look like that: what is made up carelessly costs no query.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let refused = || Problem::plain(ProblemCode::Unauthorized);
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(refused)?;
    if values.next().is_some() {
        let detail = "send one Authorization header";
        return Err(Problem::new(ProblemCode::Unauthorized, detail));
    }
    let (scheme, secret) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(refused)?;
    let secret = secret.trim();
    let known = is_secret(secret, KEY) || is_secret(secret, LINK);
    if scheme.eq_ignore_ascii_case("bearer") && known {
        Ok(secret)
    } else {
        Err(refused())
    }
}

pub(crate) fn is_secret(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        digits.len() == DIGITS
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_look_like_keys() {
        let digits = "0123456789abcdef".repeat(4);
        assert!(is_secret(&format!("lk_{digits}"), KEY));
        for text in [
            String::new(),
            digits.clone(),
            format!("lk_{digits}0"),
            format!("lk_{}", &digits[1..]),
            format!("lk_{}", digits.to_uppercase()),
            format!("lk_{}g", &digits[1..]),
            format!("LK_{digits}"),
        ] {
            assert!(!is_secret(&text, KEY), "{text}");
        }
    }
}
