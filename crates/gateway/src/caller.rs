//! Who asks: API keys, remembered for a few seconds.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use limekiln_store::{Caller, Role};

use crate::State;
use crate::problem::{Code, Problem};

/// Keys remembered at most.
const KEYS_MAX: usize = 10_000;
/// Longer than any key of ours.
const KEY_BYTES_MAX: usize = 200;

/// Whoever has a key.
#[derive(Clone, Debug)]
pub(crate) struct Tenant(pub(crate) Caller);

/// Whoever has a key of the role admin.
#[derive(Clone, Debug)]
pub(crate) struct Admin;

impl FromRequestParts<State> for Tenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let secret = bearer(parts)?;
        let caller = match state
            .keys()
            .get(secret, state.settings().timeouts.key_cache)
        {
            Some(caller) => caller,
            None => {
                let found = state.store().key_find(secret).await?;
                let caller = found.ok_or_else(|| Problem::plain(Code::Unauthorized))?;
                state.keys().put(secret, caller.clone());
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
            Role::Tenant => Err(Problem::plain(Code::Forbidden)),
        }
    }
}

/// The key of `Authorization: Bearer <key>`.
fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let refused = || Problem::plain(Code::Unauthorized);
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(refused)?;
    if values.next().is_some() {
        return Err(Problem::new(
            Code::Unauthorized,
            "send one Authorization header",
        ));
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

/// Keys that were found lately, by their hash. Unknown ones are not remembered: anybody could fill the memory.
#[derive(Default)]
pub(crate) struct Keys(Mutex<HashMap<[u8; 32], (Caller, Instant)>>);

impl Keys {
    fn get(&self, secret: &str, age_max: Duration) -> Option<Caller> {
        let keys = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (caller, found) = keys.get(blake3::hash(secret.as_bytes()).as_bytes())?;
        (found.elapsed() < age_max).then(|| caller.clone())
    }

    fn put(&self, secret: &str, caller: Caller) {
        let mut keys = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert(
            *blake3::hash(secret.as_bytes()).as_bytes(),
            (caller, Instant::now()),
        );
    }
}
