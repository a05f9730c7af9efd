//! Bodies of requests: each bounded in bytes and time, all of them together in memory.

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use limekiln_jobs::TenantId;
use limekiln_memory::Share;
use limekiln_store::Caller;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::State;
use crate::memory::body_too_large;
use crate::problem::{Problem, ProblemCode};
use crate::shares;
use crate::strict_json::StrictJson;

/// Memory that a body begins with.
const ROOM_FIRST: usize = 1 << 10;

/// A whole body, with its share of the memory.
pub(crate) struct BufferedBody {
    pub(crate) bytes: Bytes,
    pub(crate) share: Share,
    /// What the tenant holds of the memory, so that its slow bodies leave room for others'.
    pub(crate) held: shares::Share,
}

/// Reads a body of at most `bytes_max`, of which there will be so many copies in memory.
pub(crate) async fn read(
    state: &State,
    tenant: TenantId,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    copies: usize,
) -> Result<BufferedBody, Problem> {
    let times = &state.settings.timeouts;
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings
        .into_iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Problem::plain(ProblemCode::ContentEncodingUnsupported));
    }
    let too_large = || {
        Problem::new(
            ProblemCode::BodyTooLarge,
            format!("the body has more than the {bytes_max} bytes that are taken here"),
        )
    };
    let declared = declared_bytes(headers).unwrap_or(0);
    if declared > bytes_max as u64 {
        return Err(too_large());
    }
    // JSON is so small that the number of requests bounds it; it must not wait for the memory of other people's pictures.
    let counted = bytes_max > state.settings.limits.json_bytes;
    let mut room = if counted { ROOM_FIRST } else { 0 };
    let bodies = &state.shares.bodies;
    let full = || {
        Problem::share(
            ProblemCode::ConcurrencyLimit,
            bodies.each(),
            "bytes of bodies are on their way",
        )
    };
    // All that is announced at once: bodies of which each held a part would wait for one another.
    let announced = if counted { declared as usize } else { 0 };
    let mut held = bodies
        .take_within(tenant, copies * announced.max(room), times.memory)
        .await
        .ok_or_else(full)?;
    let mut share = state.memory.share(room as u64, body_too_large).await?;
    let mut whole = BytesMut::new();
    let mut pieces = body.into_data_stream();
    let deadline = Instant::now() + times.body;
    loop {
        let until = deadline.min(Instant::now() + times.body_idle);
        let piece = match timeout_at(until, pieces.next()).await {
            Err(_) => return Err(Problem::plain(ProblemCode::BodyTimeout)),
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a body stopped");
                return Err(Problem::plain(ProblemCode::BodyIncomplete));
            }
            Ok(Some(Ok(piece))) => piece,
        };
        if whole.len() + piece.len() > bytes_max {
            return Err(too_large());
        }
        whole.extend_from_slice(&piece);
        // Memory is taken in growing steps, so that a body does not wait for it often.
        if counted && whole.len() > room {
            let more = (whole.len() - room).max(room.min(1 << 20));
            let beyond = (copies * (room + more))
                .min(bodies.each())
                .saturating_sub(held.amount());
            if beyond > 0 && !held.grow_within(beyond, times.memory).await {
                return Err(full());
            }
            state.memory.grow(&mut share, more as u64).await?;
            room += more;
        }
    }
    Ok(BufferedBody {
        bytes: whole.freeze(),
        share,
        held,
    })
}

/// The body's length as `Content-Length` declares it.
pub(crate) fn declared_bytes(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// A JSON body. As axum's, but bounded, strict, and whatever is wrong becomes a problem.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<State> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if media_type(&parts.headers)?.as_deref() != Some("application/json") {
            return Err(Problem::new(
                ProblemCode::MediaTypeUnsupported,
                "send JSON, with Content-Type: application/json",
            ));
        }
        let caller = parts.extensions.get::<Caller>();
        let caller = caller.ok_or_else(|| Problem::plain(ProblemCode::Unauthorized))?;
        let body = read(
            state,
            caller.tenant,
            &parts.headers,
            body,
            state.settings.limits.json_bytes,
            1,
        )
        .await?;
        let StrictJson(value) = serde_json::from_slice(&body.bytes).map_err(refused)?;
        // serde would take an array for a struct too.
        if !value.is_object() {
            return Err(Problem::new(
                ProblemCode::RequestInvalid,
                "the body must be a JSON object",
            ));
        }
        serde_path_to_error::deserialize(value)
            .map(Self)
            .map_err(misfit)
    }
}

/// The same of a body that may be left out.
impl<T: DeserializeOwned> OptionalFromRequest<State> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Option<Self>, Problem> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        <Self as FromRequest<State>>::from_request(request, state)
            .await
            .map(Some)
    }
}

/// Most characters of what was sent that an answer repeats.
const REPEATED: usize = 200;

/// A value that does not fit, by the field that it stands in.
fn misfit(error: serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let path = error.path().to_string();
    let message = shortened(error.into_inner().to_string(), REPEATED);
    // A field that is unknown or missing is named by the message alone.
    let named = message.split('`').nth(1).unwrap_or_default();
    let field = if path.contains(['.', '?']) && !path.contains(char::is_alphanumeric) {
        named
    } else {
        &path
    };
    if field.is_empty() {
        return Problem::new(ProblemCode::RequestInvalid, message);
    }
    Problem::field(&shortened(field.to_owned(), 80), message.clone())
}

fn shortened(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn refused(error: serde_json::Error) -> Problem {
    let code = if error.is_data() {
        ProblemCode::RequestInvalid
    } else {
        ProblemCode::JsonInvalid
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
            ProblemCode::MediaTypeUnsupported,
            "send one Content-Type",
        ));
    }
    let text = value.to_str().map_err(|_| {
        Problem::new(
            ProblemCode::MediaTypeUnsupported,
            "Content-Type is not ASCII",
        )
    })?;
    let essence = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    Ok((!essence.is_empty()).then_some(essence))
}
