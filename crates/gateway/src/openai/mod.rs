//! `/v1/images/edits`: OpenAI's image-edit API, made of the same edits. Its clients need another base URL and key, nothing
//! else.
//!
//! | module | what is in it |
//! |---|---|
//! | `form`, `json` | the fields, out of a multipart form or a JSON object |
//! | `mask` | from OpenAI's masks to ours; the transparency of a picture as its mask |
//! | `wait` | from edits to their results |
//! | `streamed` | the same as a stream of events |
//! | `picture` | a picture as a request gives it, and how it is stored |
//! | `ids` | ids as OpenAI writes them |
//! | `files`, `incoming` | `/v1/files`: shown and handed out; taken in, part by part |
//! | `batches` | `/v1/batches`: many requests of a file, as a catalog |

pub(crate) mod batches;
pub(crate) mod files;
mod form;
mod ids;
pub(crate) mod incoming;
mod json;
mod mask;
mod picture;
mod streamed;
mod wait;

use axum::Json;
use axum::extract::{self, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use limekiln_jobs::EditRequest;
use limekiln_jobs::api::{
    ImageEditEvent, ImageEditForm, ImageEditJson, ImagesResponse, OpenAiError, OpenAiProblem,
    PIXELS_MOVED,
};
use limekiln_pictures::Format;
use limekiln_store::Idempotency;

use crate::auth::Tenant;
use crate::body::{self, BufferedBody};
use crate::edits::submit::{earlier, same, submission, submit};
use crate::params::{IdempotencyKey, Trace};
use crate::problem::{Problem, ProblemCode, RATE_LIMIT};
use crate::{State, memory, quotas};

use form::{Encoding, Form, N_MAX, ResponseFormat};
use wait::Pending;

/// Path of the route.
pub(crate) const PATH: &str = "/v1/images/edits";
/// OpenAI's other routes for pictures, with what to do instead.
pub(crate) const NOT_OFFERED: [(&str, &str); 2] = [
    (
        "/v1/images/generations",
        "pictures are not made from words alone here: send the picture to change as `image` to POST /v1/images/edits",
    ),
    (
        "/v1/images/variations",
        "variations are not offered here: send the picture to POST /v1/images/edits with what to change as `prompt`, and `n`",
    ),
];

/// Whether what answers this path speaks as OpenAI's API does.
pub(crate) fn speaks(path: &str) -> bool {
    let below = |root: &str| {
        let rest = path.strip_prefix(root);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let not_offered = NOT_OFFERED.iter().any(|(other, _)| *other == path);
    path == PATH || not_offered || below("/v1/files") || below("/v1/batches")
}

/// Edit a picture as with OpenAI's API
///
/// `client.images.edit(image=..., prompt=...)` of OpenAI's own clients works unchanged. `n` makes that many edits from
/// consecutive seeds. Without a mask, the transparent part of the picture is where it is edited; where it has none, the place is
/// found from the prompt. The answer comes when all edits are done; with `stream` it is a stream of `image_edit.partial_image` and
/// `image_edit.completed` events. Closing the connection before cancels them, unless there is an `Idempotency-Key`: then the same
/// request again gets the same pictures.
#[utoipa::path(
    post, path = "/v1/images/edits", operation_id = "editImage", tag = "openai",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send a request again: the same key and form get the same pictures", min_length = 1, max_length = 200, pattern = "^[!-~]{1,200}$")),
    request_body(content((ImageEditForm = "multipart/form-data"), (ImageEditJson = "application/json"))),
    responses((status = 200, description = "The edited pictures", content(
            (ImagesResponse = "application/json"), (ImageEditEvent = "text/event-stream"),
        ),
        headers(("Limekiln-Pixels-Moved" = u64, description = "How many pixels outside the edits' mattes are not the stored results', of all pictures of the answer, where these are JPEGs or WebPs with loss that were coded anew and not made smaller. A stream has it in each `image_edit.completed` event, as `pixels_moved`")))),
    extensions(("x-problems" = json!([
        ProblemCode::FormInvalid, ProblemCode::JsonInvalid, ProblemCode::ImageUnsupported, ProblemCode::ImageEmpty, ProblemCode::ImageDamaged,
        ProblemCode::ImagePixelsLimit, ProblemCode::MaskInvalid,
        ProblemCode::RequestInvalid, ProblemCode::OptionsInvalid, ProblemCode::IdempotencyKeyReused,
        ProblemCode::ModelNotFound, ProblemCode::EditEnded, ProblemCode::EditFailed, ProblemCode::RateLimited,
        ProblemCode::InFlightLimit, ProblemCode::WaitLimit, ProblemCode::UploadLimit, ProblemCode::StorageLimit,
    ]))),
)]
pub(crate) async fn edit(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    IdempotencyKey(key): IdempotencyKey,
    Trace(trace): Trace,
    request: Request,
) -> Result<Response, Problem> {
    let shares = &state.shares.waits;
    let wait_share = shares.take(caller.tenant, 1).ok_or_else(|| {
        Problem::share(
            ProblemCode::WaitLimit,
            shares.each(),
            "requests wait for pictures",
        )
    })?;
    let wait = state
        .waits
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::plain(ProblemCode::Overloaded))?;
    if key.as_ref().is_some_and(|key| key.len() > 200) {
        return Err(Problem::parameter(
            "Idempotency-Key",
            "must have at most 200 characters",
        ));
    }
    let (parts, body) = request.into_parts();
    let encoding = form::encoding(&parts.headers)?;
    // Whoever repeats a request may be over the quotas that it was not over at first.
    let before = match &key {
        Some(key) => {
            let keys: Vec<_> = (0..N_MAX as usize)
                .map(|index| numbered(key, index))
                .collect();
            earlier(&state, caller.tenant, &keys).await?
        }
        None => Vec::new(),
    };
    if before.iter().all(Option::is_none) {
        quotas::upload(&state, &caller, 1).await?;
        quotas::edit(&caller)?;
    }
    let picture_bytes_max = state.settings.limits.upload_bytes;
    // The fields are copies; those of JSON are texts first.
    let (bytes_max, copies) = match encoding {
        Encoding::Multipart(_) => (2 * picture_bytes_max + form::TEXT_BYTES_MAX, 2),
        Encoding::Json => (
            json::bytes_max(2 * picture_bytes_max, form::TEXT_BYTES_MAX),
            3,
        ),
    };
    let BufferedBody {
        bytes,
        mut share,
        held,
    } = body::read(
        &state,
        caller.tenant,
        &parts.headers,
        body,
        bytes_max,
        copies,
    )
    .await?;
    let fields_bytes = bytes.len() as u64;
    let form = match encoding {
        Encoding::Multipart(boundary) => {
            state.memory.grow(&mut share, fields_bytes).await?;
            Form::read(bytes, boundary, picture_bytes_max).await?
        }
        Encoding::Json => {
            state.memory.grow(&mut share, 2 * fields_bytes).await?;
            json::read(&bytes, picture_bytes_max)?
        }
    };
    share.shrink_to(fields_bytes);
    let requests = form.requests()?;
    let wish = form.wish()?;
    let digest = form.digest();
    let (as_url, streamed) = (form.response_format == ResponseFormat::Url, form.streamed);
    let mut pending = Pending::new(&state, &caller, key.is_none());
    let mut replayed = 0;
    for before in before {
        let Some(before) = same(before, &digest)? else {
            break;
        };
        pending.add(before.id);
        replayed += 1;
    }
    let rest = requests.into_iter().enumerate().skip(replayed);
    let images = if rest.len() == 0 {
        drop(form);
        None
    } else {
        quotas::edit(&caller)?;
        let owner = (caller.tenant, &caller.limits);
        Some(picture::stored(&state, owner, &mut share, form).await?)
    };
    drop((share, held));
    for (index, request) in rest {
        let idempotency = key.as_ref().map(|key| Idempotency {
            key: numbered(key, index),
            digest,
        });
        let request = EditRequest {
            image: images.map(|(image, _)| image),
            mask: images.and_then(|(_, mask)| mask),
            ..request
        };
        let trace = Some(trace.clone());
        let submission = submission(&state, caller.tenant, request, false, idempotency, trace)
            .await
            .map_err(in_the_form)?;
        let (edit, ..) = submit(&state, submission).await?;
        pending.add(edit);
    }
    if let Some(partial) = streamed {
        return Ok(streamed::answer(
            &state,
            pending,
            (partial, wish),
            (wait, wait_share),
        ));
    }
    let (answered, mut shares) = pending.pictures(as_url, wish).await?;
    let moved = answered.iter().filter_map(|one| one.moved);
    let moved = moved.reduce(|all, one| all + one);
    let answer = ImagesResponse {
        created: time::OffsetDateTime::now_utc().unix_timestamp(),
        data: answered.into_iter().map(|one| one.picture).collect(),
        output_format: wish.format.unwrap_or(Format::Png).word().into(),
    };
    let json = serde_json::to_vec(&answer).map_err(|error| Problem::internal(&error))?;
    drop(answer);
    // One of two copies is left.
    for share in &mut shares {
        share.shrink_to(share.bytes().div_ceil(2));
    }
    let mut response = memory::answer("application/json", json.into(), shares);
    if let Some(moved) = moved {
        let headers = response.headers_mut();
        headers.insert(PIXELS_MOVED, HeaderValue::from(moved));
    }
    Ok(response)
}

/// The idempotency key of one of a form's edits.
fn numbered(key: &str, index: usize) -> String {
    format!("openai:{key}:{index}")
}

/// Names fields as this route does.
fn in_the_form(mut problem: Problem) -> Problem {
    for error in &mut problem.errors {
        if error.field == "instruction" {
            "prompt".clone_into(&mut error.field);
            problem.detail = error.to_string();
        }
    }
    problem
}

/// A problem in OpenAI's form.
fn error(problem: &Problem) -> OpenAiError {
    let status = problem.status();
    let (kind, code) = match problem.code {
        ProblemCode::Unauthorized => ("invalid_request_error", "invalid_api_key"),
        ProblemCode::StorageLimit => ("insufficient_quota", "insufficient_quota"),
        _ if status == StatusCode::TOO_MANY_REQUESTS => ("rate_limit_error", "rate_limit_exceeded"),
        code if status.is_server_error() => ("server_error", code.as_str()),
        code => ("invalid_request_error", code.as_str()),
    };
    OpenAiError {
        error: OpenAiProblem {
            message: problem.detail.clone(),
            kind: kind.into(),
            param: problem.errors.first().map(|error| error.field.clone()),
            code: code.into(),
        },
    }
}

/// The answer to a request that failed, in OpenAI's form. Headers that a client acts on stay.
pub(crate) fn problem(problem: &Problem, response: Response) -> Response {
    let mut answer = (problem.status(), Json(error(problem))).into_response();
    let kept = [header::ALLOW, header::RETRY_AFTER, header::WWW_AUTHENTICATE];
    for name in kept.into_iter().chain(RATE_LIMIT) {
        if let Some(value) = response.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}
