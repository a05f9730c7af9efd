//! From a request to a submission, and what became of it.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use limekiln_jobs::{
    Digest, EditId, EditLinks, EditRequest, Job, ModelName, Spec, StateName, TenantId,
};
use limekiln_store::{Idempotency, Submission, Submitted};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::caller::Tenant;
use crate::params::{IdempotencyKey, Trace};
use crate::problem::{Code, Problem};
use crate::{State, body, models};

/// The largest seed: the largest integer that every JSON reader keeps exactly.
pub(crate) const SEED_MASK: u64 = (1 << 53) - 1;
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An edit that was accepted, as it was then: the same however often the request is repeated with its key.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// Its id.
    id: EditId,
    /// Where it stood: `queued`, or `waiting` for its parent.
    state: StateName,
    /// The seed of its noise, drawn if none was given.
    #[schema(example = 7)]
    seed: u64,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Where to go from here.
    links: EditLinks,
}

/// Ask for an edit
///
/// The answer comes at once; follow `links.events`, or ask again later. With an `Idempotency-Key`, asking again makes
/// no second edit.
#[utoipa::path(
    post, path = "/v1/edits", operation_id = "createEdit", tag = "edits",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes repeating safe: the same key and body give the first answer again",
        min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$")),
    request_body = EditRequest,
    responses((status = 202, description = "Accepted", body = Accepted, headers(
        ("Location" = String, description = "Its address"),
        ("Idempotency-Replayed" = Option<String>, description = "`true` when this is the first answer again"),
    ))),
    extensions(("x-problems" = json!([
        "parameter_invalid", "json_invalid", "body_incomplete", "body_timeout", "body_too_large", "media_type_unsupported",
        "content_encoding_unsupported", "request_invalid", "options_invalid", "idempotency_key_reused", "image_not_found",
        "mask_not_found", "parent_not_found", "session_not_found", "model_not_found", "parent_ended", "rate_limited",
        "in_flight_limit",
    ]))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    IdempotencyKey(key): IdempotencyKey,
    Trace(trace): Trace,
    body::Json(request): body::Json<EditRequest>,
) -> Result<Response, Problem> {
    let idempotency = match key {
        Some(key) => {
            let canonical =
                serde_json::to_vec(&request).map_err(|error| crate::problem::internal(&error))?;
            Some(Idempotency {
                key,
                digest: Digest::of(&canonical),
            })
        }
        None => None,
    };
    let seed = request.seed;
    let submission = submission(&state, caller.tenant, request, idempotency, Some(trace)).await?;
    let (edit, accepted_state, created_at, replayed) = submit(&state, submission).await?;
    let links = EditLinks::new(edit, &[]);
    let location = [(header::LOCATION, links.this.clone())];
    let seed = seed.unwrap_or_else(|| seed_of(edit));
    let accepted = Accepted {
        id: edit,
        state: accepted_state,
        seed,
        created_at,
        links,
    };
    let mut response = (StatusCode::ACCEPTED, location, Json(accepted)).into_response();
    if replayed {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// What is written for this request.
pub(crate) async fn submission(
    state: &State,
    tenant: TenantId,
    request: EditRequest,
    idempotency: Option<Idempotency>,
    trace: Option<String>,
) -> Result<Submission, Problem> {
    request.validate().map_err(Problem::invalid)?;
    let settings = state.settings();
    let id = EditId::new();
    let preset = request.preset.unwrap_or_else(|| settings.preset.clone());
    if !settings.presets.is_empty() && !settings.presets.contains(&preset) {
        let message = format!("is none of the presets {}", settings.presets.join(", "));
        return Err(Problem::field("preset", message));
    }
    let spec = Spec {
        instruction: request.instruction,
        preset,
        options: request.options.unwrap_or_default(),
        seed: request.seed.unwrap_or_else(|| seed_of(id)),
        mask: None,
        size: request.size,
        keep_outside: request.keep_outside,
    };
    if let Some(check) = &settings.spec_check {
        check(&spec).map_err(|message| Problem::new(Code::OptionsInvalid, message))?;
    }
    Ok(Submission {
        id,
        tenant,
        image: request.image,
        parent: request.parent,
        session: request.session,
        mask: request.mask,
        batch: None,
        model: model(state, request.model.as_deref()).await?,
        class: request.class,
        spec,
        max_attempts: request.max_attempts.unwrap_or(Job::MAX_ATTEMPTS_DEFAULT),
        webhook_url: request.webhook.map(String::from),
        idempotency,
        trace,
    })
}

/// The model of this name, or the default one.
async fn model(state: &State, name: Option<&str>) -> Result<ModelName, Problem> {
    let unknown = |name: &str| {
        Problem::new(
            Code::ModelNotFound,
            format!("there is no model {name}: see GET /v1/models"),
        )
    };
    let model = match name {
        Some(name) => name.parse().map_err(|_| unknown(name))?,
        None => match state.settings().models.first() {
            Some(model) => return Ok(model.clone()),
            None => {
                return Err(Problem::field(
                    "model",
                    "must be given: this gateway has no default",
                ));
            }
        },
    };
    if models::is_known(state, &model).await? {
        Ok(model)
    } else {
        Err(unknown(model.as_str()))
    }
}

/// Submits it: its id, its state and time then, and whether that was another time.
pub(crate) async fn submit(
    state: &State,
    submission: Submission,
) -> Result<(EditId, StateName, OffsetDateTime, bool), Problem> {
    let made = submission.id;
    let code = match state.submitter().submit(submission).await? {
        Submitted::Created {
            state, created_at, ..
        } => return Ok((made, state, created_at, false)),
        Submitted::Replayed {
            id,
            state,
            created_at,
        } => return Ok((id, state, created_at, true)),
        Submitted::InFlight { limit } => {
            return Err(Problem::new(
                Code::InFlightLimit,
                format!("{limit} edits have not ended: wait until some have"),
            ));
        }
        Submitted::RateLimited { retry_after } => {
            let seconds = retry_after.as_secs_f64().ceil().max(1.0) as u64;
            let problem = Problem::new(
                Code::RateLimited,
                format!("one more edit is taken in {seconds} s"),
            );
            return Err(Problem {
                retry_after_s: Some(seconds),
                ..problem
            });
        }
        Submitted::KeyReused => Code::IdempotencyKeyReused,
        Submitted::NoImage => Code::ImageNotFound,
        Submitted::NoMask => Code::MaskNotFound,
        Submitted::NoParent => Code::ParentNotFound,
        Submitted::ParentEnded => Code::ParentEnded,
        Submitted::NoSession => Code::SessionNotFound,
        // Its key is gone with it.
        Submitted::NoTenant => Code::Unauthorized,
    };
    Err(Problem::plain(code))
}

/// The seed of an edit that was given none: drawn with its id, so that a repeated request is told the same.
pub(crate) fn seed_of(edit: EditId) -> u64 {
    let hash = blake3::hash(edit.uuid().as_bytes());
    let mut seed = [0; 8];
    seed.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(seed) & SEED_MASK
}
