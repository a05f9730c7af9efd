//! Bodies: bounded in bytes, in time, and all together in memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::State;
use crate::problem::{Code, Problem};
use crate::strict::Strict;

/// What one permit of the memory stands for.
const UNIT_BYTES: usize = 1024;
/// How long a body waits for memory that others hold.
const MEMORY_WAIT: Duration = Duration::from_secs(5);

/// Memory for bodies, all requests together.
#[derive(Clone)]
pub(crate) struct Memory {
    units: Arc<Semaphore>,
    units_max: usize,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        let units_max = (bytes / UNIT_BYTES).clamp(1, u32::MAX as usize);
        Self {
            units: Arc::new(Semaphore::new(units_max)),
            units_max,
        }
    }

    /// Room for `bytes`, or for as many as there is room at all.
    pub(crate) async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let units = bytes.div_ceil(UNIT_BYTES).clamp(1, self.units_max) as u32;
        match timeout(MEMORY_WAIT, self.units.clone().acquire_many_owned(units)).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Problem::new(
                Code::Overloaded,
                "too many bodies are on their way: try again in a moment",
            )),
        }
    }
}

/// A body, and its share of the memory.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Reads a body of at most `bytes_max`.
pub(crate) async fn read(
    state: &State,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Held, Problem> {
    let times = &state.settings().timeouts;
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings
        .into_iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Problem::plain(Code::EncodingUnsupported));
    }
    let too_large = || {
        Problem::new(
            Code::BodyTooLarge,
            format!("the body has more than the {bytes_max} bytes that are taken here"),
        )
    };
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(too_large());
    }
    let deadline = Instant::now() + times.body;
    let mut permit = state.memory().take(1).await?;
    let mut room = UNIT_BYTES;
    let mut whole = BytesMut::new();
    let mut pieces = body.into_data_stream();
    loop {
        let until = deadline.min(Instant::now() + times.body_idle);
        let piece = match timeout_at(until, pieces.next()).await {
            Err(_) => return Err(Problem::plain(Code::BodyTimeout)),
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a body stopped");
                return Err(Problem::plain(Code::BodyIncomplete));
            }
            Ok(Some(Ok(piece))) => piece,
        };
        if whole.len() + piece.len() > bytes_max {
            return Err(too_large());
        }
        whole.extend_from_slice(&piece);
        // In steps, so that few bodies have to wait for memory often.
        if whole.len() > room {
            let more = (whole.len() - room).max(room.min(1 << 20));
            permit.merge(state.memory().take(more).await?);
            room += more;
        }
    }
    Ok(Held {
        bytes: whole.freeze(),
        permit,
    })
}

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<State> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if media_type(&parts.headers)?.as_deref() != Some("application/json") {
            return Err(Problem::new(
                Code::MediaTypeUnsupported,
                "send JSON, with Content-Type: application/json",
            ));
        }
        let held = read(
            state,
            &parts.headers,
            body,
            state.settings().limits.json_bytes,
        )
        .await?;
        let Strict(value) = serde_json::from_slice(&held.bytes).map_err(refused)?;
        // Structs may be written as arrays, as far as serde is concerned.
        if !value.is_object() {
            return Err(Problem::new(
                Code::RequestInvalid,
                "the body must be a JSON object",
            ));
        }
        serde_json::from_value(value).map(Self).map_err(refused)
    }
}

fn refused(error: serde_json::Error) -> Problem {
    let code = if error.is_data() {
        Code::RequestInvalid
    } else {
        Code::JsonInvalid
    };
    Problem::new(code, error.to_string())
}

/// The type and subtype of `Content-Type`, in lower case and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::new(
            Code::MediaTypeUnsupported,
            "send one Content-Type",
        ));
    }
    let text = value
        .to_str()
        .map_err(|_| Problem::new(Code::MediaTypeUnsupported, "Content-Type is not ASCII"))?;
    let essence = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    Ok((!essence.is_empty()).then_some(essence))
}
