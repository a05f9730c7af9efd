//! Who sends a request: `Authorization: Bearer <key>`.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use limekiln_jobs::api::Role;
use limekiln_store::Caller;

use crate::State;
use crate::problem::{Problem, ProblemCode};

/// Longer than any key that `limekiln keys` makes.
const KEY_BYTES_MAX: usize = 200;

/// The caller of any role.
#[derive(Clone, Debug)]
pub(crate) struct Tenant(pub(crate) Caller);

/// A caller of the role admin.
#[derive(Clone, Debug)]
pub(crate) struct Admin;

impl FromRequestParts<State> for Tenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let secret = bearer(parts)?;
        let caller = match state.keys.get(secret) {
            Some(caller) => caller,
            None => {
                let found = state.services.store.key_find(secret).await?;
                let caller = found.ok_or_else(|| Problem::plain(ProblemCode::Unauthorized))?;
                state.keys.insert(secret, caller.clone());
                caller
            }
        };
        tracing::Span::current().record("tenant", tracing::field::display(caller.tenant));
        Ok(Self(caller))
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

/// The key, unless no key can look like that.
fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let refused = || Problem::plain(ProblemCode::Unauthorized);
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
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
    let plausible = scheme.eq_ignore_ascii_case("bearer")
        && !secret.is_empty()
        && secret.len() <= KEY_BYTES_MAX
        && secret.bytes().all(|byte| byte.is_ascii_graphic());
    if plausible {
        Ok(secret)
    } else {
        Err(refused())
    }
}
