//! OpenAI's image-edit API on the same edits: whoever speaks it needs another base URL and key, nothing else.
//!
//! | module | what is in it |
//! |---|---|
//! | `form` | the multipart form, field by field |
//! | `mask` | transparency in OpenAI's masks to white in ours |
//! | `wait` | from edits to their results; whoever hangs up cancels |

mod form;
mod mask;
mod wait;

use axum::Json;
use axum::extract::{self, Request};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use limekiln_jobs::{Digest, EditRequest, ImageId, TenantId};
use limekiln_store::Idempotency;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Tenant;
use crate::edits::submit::{submission, submit};
use crate::params::{IdempotencyKey, Trace};
use crate::problem::{Code, Problem};
use crate::{State, body, images};

use form::{Answer, Form};
use wait::{Pending, Picture};

/// Where it is.
pub(crate) const PATH: &str = "/v1/images/edits";

/// The pictures.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImagesResponse {
    /// When, in seconds since 1970.
    #[schema(example = 1_735_787_045)]
    created: i64,
    data: Vec<Picture>,
    /// Always `png`.
    #[schema(example = "png")]
    output_format: &'static str,
}

/// An error in OpenAI's words.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiError<'a> {
    error: OpenAiProblem<'a>,
}

/// What is wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiProblem<'a> {
    /// For people.
    message: &'a str,
    /// Its kind.
    #[serde(rename = "type")]
    #[schema(example = "invalid_request_error")]
    kind: &'a str,
    /// The field that is wrong.
    param: Option<&'a str>,
    /// Stable name, for programs.
    #[schema(example = "request_invalid")]
    code: &'a str,
}

/// Edit a picture the way OpenAI's API does
///
/// `client.images.edit(image=..., prompt=...)` of OpenAI's own clients works unchanged. `n` makes as many edits with
/// other seeds. The mask's transparent pixels say where to edit. The answer comes when all are done; whoever hangs up
/// before cancels them, unless there is an `Idempotency-Key`: then the same request again gives the same pictures.
#[utoipa::path(
    post, path = "/v1/images/edits", operation_id = "editImage", tag = "openai",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes repeating safe", min_length = 1, max_length = 200, pattern = "^[!-~]{1,200}$")),
    request_body(content = form::Fields, content_type = "multipart/form-data"),
    responses((status = 200, description = "The pictures", body = ImagesResponse)),
    extensions(("x-problems" = json!([
        "parameter_invalid", "form_invalid", "body_incomplete", "body_timeout", "body_too_large", "media_type_unsupported",
        "content_encoding_unsupported", "image_unsupported", "image_empty", "image_damaged", "image_pixels_limit",
        "media_type_mismatch", "mask_invalid", "request_invalid", "options_invalid", "idempotency_key_reused",
        "model_not_found", "edit_ended", "edit_failed", "rate_limited", "in_flight_limit",
    ]))),
)]
pub(crate) async fn edit(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    IdempotencyKey(key): IdempotencyKey,
    Trace(trace): Trace,
    request: Request,
) -> Result<Json<ImagesResponse>, Problem> {
    let _wait = state
        .waits()
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::plain(Code::Overloaded))?;
    if key.as_ref().is_some_and(|key| key.len() > 200) {
        return Err(Problem::parameter(
            "Idempotency-Key",
            "must have at most 200 characters",
        ));
    }
    let (parts, body) = request.into_parts();
    let boundary = form::boundary(&parts.headers)?;
    let bytes_max = 2 * state.settings().limits.upload_bytes + form::TEXT_BYTES_MAX;
    let held = body::read(&state, &parts.headers, body, bytes_max).await?;
    let form = Form::read(held.bytes, boundary, state.settings().limits.upload_bytes).await?;
    let requests = form.requests()?;
    let digest = form.digest();
    let answer = form.answer;
    let (image, mask) = stored(&state, caller.tenant, form).await?;
    drop(held.permit);

    let mut pending = Pending::new(&state, caller.tenant, key.is_none());
    for (index, request) in requests.into_iter().enumerate() {
        let idempotency = key.as_ref().map(|key| Idempotency {
            key: format!("openai:{key}:{index}"),
            digest,
        });
        let request = EditRequest {
            image: Some(image),
            mask,
            ..request
        };
        let submission = submission(
            &state,
            caller.tenant,
            request,
            idempotency,
            Some(trace.clone()),
        )
        .await?;
        let (edit, ..) = submit(&state, submission).await?;
        pending.add(edit);
    }
    let data = pending.pictures(answer == Answer::Url).await?;
    let created = time::OffsetDateTime::now_utc().unix_timestamp();
    Ok(Json(ImagesResponse {
        created,
        data,
        output_format: "png",
    }))
}

/// Checks and stores the form's pictures.
async fn stored(
    state: &State,
    tenant: TenantId,
    form: Form,
) -> Result<(ImageId, Option<ImageId>), Problem> {
    let decoded = images::decode(state, form.image.clone(), None).await?;
    let size = decoded.picture.rgb.dimensions();
    drop(decoded.picture);
    let mask = match form.mask {
        Some(mask) => Some(mask::converted(state, mask, size).await?),
        None => None,
    };
    // Nothing is stored before everything is known to be good.
    let image = images::put(
        state,
        tenant,
        form.image,
        decoded.digest,
        decoded.format,
        size,
    )
    .await?;
    let mask = match mask {
        Some(mask) => {
            let digest = Digest::of(&mask);
            Some(
                images::put(
                    state,
                    tenant,
                    mask,
                    digest,
                    limekiln_pictures::Format::Png,
                    size,
                )
                .await?
                .id,
            )
        }
        None => None,
    };
    Ok((image.id, mask))
}

/// A problem in OpenAI's words; what only headers say stays.
pub(crate) fn reworded(problem: &Problem, response: Response) -> Response {
    let status = problem.code.status();
    let (kind, code) = match problem.code {
        Code::Unauthorized => ("invalid_request_error", "invalid_api_key"),
        Code::RateLimited | Code::InFlightLimit => ("rate_limit_error", "rate_limit_exceeded"),
        code if status.is_server_error() => ("server_error", code.as_str()),
        code => ("invalid_request_error", code.as_str()),
    };
    let param = problem.errors.first().map(|error| error.field.as_str());
    let error = OpenAiError {
        error: OpenAiProblem {
            message: &problem.detail,
            kind,
            param,
            code,
        },
    };
    let mut reworded = (status, Json(error)).into_response();
    for name in [header::ALLOW, header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
        if let Some(value) = response.headers().get(&name) {
            reworded.headers_mut().insert(name, value.clone());
        }
    }
    reworded
}
