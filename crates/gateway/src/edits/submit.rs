//! From a request to a submission, and its outcome.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use limekiln_jobs::api::{AcceptedEdit, ModelLimits};
use limekiln_jobs::request::SEED_MAX;
use limekiln_jobs::{
    Cost, Digest, EditId, EditLinks, EditRequest, Finish, ImageId, Job, ModelName, Needs, Reuse,
    Spec, StateName, TenantId,
};
use limekiln_pictures::Error;
use limekiln_store::{Caller, Earlier, Idempotency, PictureId, Submission, Submitted};
use time::OffsetDateTime;

use crate::auth::Tenant;
use crate::edits::region::{self, Drawn};
use crate::keys::Quota;
use crate::params::{IdempotencyKey, Trace};
use crate::problem::{Problem, ProblemCode};
use crate::{State, body, quotas};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Submit an edit
///
/// The answer comes before the edit runs. Follow `links.events` to see it run, or read `links.self` later. A request that is
/// repeated with its `Idempotency-Key` makes no second edit.
#[utoipa::path(
    post, path = "/v1/edits", operation_id = "createEdit", tag = "edits",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send a request again: the same key and body get the first answer again",
        min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$")),
    request_body = EditRequest,
    responses((status = 202, description = "The edit was accepted", body = AcceptedEdit, headers(
        ("Location" = String, description = "Path of the edit"),
        ("Idempotency-Replayed" = Option<String>, description = "`true` where the request was sent before with this key"),
    ))),
    extensions(("x-problems" = json!([
        ProblemCode::JsonInvalid, ProblemCode::RequestInvalid, ProblemCode::OptionsInvalid,
        ProblemCode::IdempotencyKeyReused, ProblemCode::ImageNotFound, ProblemCode::MaskNotFound, ProblemCode::MaskInvalid,
        ProblemCode::ParentNotFound, ProblemCode::SessionNotFound, ProblemCode::ModelNotFound,
        ProblemCode::ParentEnded, ProblemCode::ParentElsewhere, ProblemCode::ImageElsewhere,
        ProblemCode::SegmentationNotFound, ProblemCode::SegmentationOutdated, ProblemCode::EditNotFound,
        ProblemCode::EditUnfinished, ProblemCode::EditEnded, ProblemCode::ArtifactNotFound,
        ProblemCode::DepthLimit, ProblemCode::TurnsLimit, ProblemCode::RateLimited, ProblemCode::InFlightLimit,
        ProblemCode::StorageLimit,
    ]))),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    IdempotencyKey(key): IdempotencyKey,
    Trace(trace): Trace,
    body::Json(request): body::Json<EditRequest>,
) -> Result<Response, Problem> {
    let conditions = Conditions {
        key,
        version: None,
        at_head: false,
        segments: false,
    };
    accept(&state, &caller, request, conditions, trace).await
}

/// What the headers of a request ask for.
pub(crate) struct Conditions {
    /// `Idempotency-Key`.
    pub(crate) key: Option<String>,
    /// The version that the session must have, of `If-Match`.
    pub(crate) version: Option<u64>,
    /// Whether the edit may name neither an image nor a parent: it then builds on its session's head.
    pub(crate) at_head: bool,
    /// Whether all that is asked for is the picture's segments.
    pub(crate) segments: bool,
}

/// Accepts an edit, or says that it was accepted before.
pub(crate) async fn accept(
    state: &State,
    caller: &Caller,
    request: EditRequest,
    conditions: Conditions,
    trace: String,
) -> Result<Response, Problem> {
    let Conditions {
        key,
        version,
        at_head,
        segments,
    } = conditions;
    let idempotency = match key {
        Some(key) => Some(Idempotency {
            key,
            digest: digest(&request)?,
        }),
        None => None,
    };
    let before = match &idempotency {
        Some(idempotency) => {
            let keys = std::slice::from_ref(&idempotency.key);
            let before = earlier(state, caller.tenant, keys).await?.pop().flatten();
            same(before, &idempotency.digest)?
        }
        None => None,
    };
    let seed = request.seed;
    let (edit, accepted_state, created_at, replayed) = match before {
        Some(before) => (before.id, before.born, before.created_at, true),
        None => {
            if !at_head {
                request.validate().map_err(Problem::invalid)?;
            }
            quotas::edit(caller)?;
            let trace = Some(trace);
            let submission =
                submission(state, caller.tenant, request, segments, idempotency, trace).await?;
            submit(
                state,
                Submission {
                    version,
                    ..submission
                },
            )
            .await?
        }
    };
    let links = EditLinks::new(edit, &[]);
    let location = [(header::LOCATION, links.this.clone())];
    let seed = seed.unwrap_or_else(|| drawn_seed(edit));
    let accepted = AcceptedEdit {
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

/// The edits that the tenant made with these idempotency keys, in their order. Whoever repeats a request gets its first answer,
/// whatever limits and quotas say by now, so this is looked up before anything is checked.
pub(crate) async fn earlier(
    state: &State,
    tenant: TenantId,
    keys: &[String],
) -> Result<Vec<Option<Earlier>>, Problem> {
    Ok(state.services.store.edits_before(tenant, keys).await?)
}

/// The edit that came with a key before, unless that came with another request.
pub(crate) fn same(before: Option<Earlier>, digest: &Digest) -> Result<Option<Earlier>, Problem> {
    match before {
        Some(before) if before.digest.as_ref() != Some(digest) => {
            Err(Problem::plain(ProblemCode::IdempotencyKeyReused))
        }
        before => {
            let replayed = u64::from(before.is_some());
            metrics::counter!("limekiln_submitted_total", "outcome" => "replayed")
                .increment(replayed);
            Ok(before)
        }
    }
}

/// Digest of a request, however it was spelled.
fn digest(request: &EditRequest) -> Result<Digest, Problem> {
    let canonical = serde_json::to_vec(request).map_err(|error| Problem::internal(&error))?;
    Ok(Digest::of(&canonical))
}

/// Checks a request and makes the submission of it.
pub(crate) async fn submission(
    state: &State,
    tenant: TenantId,
    request: EditRequest,
    segments: bool,
    idempotency: Option<Idempotency>,
    trace: Option<String>,
) -> Result<Submission, Problem> {
    let checked = checked(state, tenant, request, segments, idempotency, trace).await?;
    Ok(checked.0)
}

/// The same, and the words that name the object, where the edit may take the region that another found for them.
pub(crate) async fn checked(
    state: &State,
    tenant: TenantId,
    mut request: EditRequest,
    segments: bool,
    idempotency: Option<Idempotency>,
    trace: Option<String>,
) -> Result<(Submission, Option<Vec<String>>), Problem> {
    request.validate_turn().map_err(Problem::invalid)?;
    let mut named = None;
    if let Some(region) = request.region.take() {
        let Drawn { mask, picture } = region::draw(state, tenant, &request, &region).await?;
        named = Some(serde_json::to_value(region).map_err(|error| Problem::internal(&error))?);
        (request.mask, request.matte) = (Some(mask), true);
        (request.image, request.parent) = match picture {
            PictureId::Image(image) => (Some(image), None),
            PictureId::Edit(edit) => (None, Some(edit)),
        };
    }
    let asked = request.finish();
    let settings = &state.settings;
    // Lines are in the order of ids, whichever gateway made them.
    let id = EditId::at(state.services.store.clock());
    let preset = request.preset.unwrap_or_else(|| settings.preset.clone());
    if !settings.presets.is_empty() && !settings.presets.contains(&preset) {
        let message = format!("is none of the presets {}", settings.presets.join(", "));
        return Err(Problem::field("preset", message));
    }
    let mut spec = Spec {
        preset,
        options: request.options.unwrap_or_default(),
        seed: request.seed.unwrap_or_else(|| drawn_seed(id)),
        size: request.size,
        carry: request.carry,
        // Left out where it says nothing, so that every worker can do it.
        reuse: request.reuse.filter(|reuse| *reuse != Reuse::Exact),
        color: request.color,
        material: request.material,
        matte: request.matte,
        strip_metadata: request.strip_metadata,
        region: named,
        segments,
        ..Spec::new(request.instruction)
    };
    let (mut needs, mut cost, mut locates) = (Needs::default(), Cost::default(), false);
    let (mut recolored, mut object) = (true, None);
    if let Some(resolve) = &settings.resolve {
        let resolved = resolve(&spec).map_err(|invalid| match &*invalid.field {
            "options" => Problem::new(ProblemCode::OptionsInvalid, invalid.message),
            _ => Problem::invalid(vec![invalid]),
        })?;
        if resolved.only_recolors && !segments {
            recolors(asked, resolved.locates || request.mask.is_some())?;
        }
        spec.resolved = Some(resolved.preset);
        (needs, cost, locates) = (resolved.needs, resolved.cost, resolved.locates);
        recolored = resolved.recolors;
        object = resolved.object.filter(|_| request.mask.is_none());
    }
    let region = locates || request.mask.is_some();
    let finish = match segments {
        true => Finish::None,
        false => asked.unwrap_or_else(|| Finish::by_default(region)),
    };
    if spec.carry.is_some() && finish != Finish::Detail {
        let says = "is a way of the finish detail, which this edit does not have: it has no region; give a mask, or leave it out";
        return Err(Problem::field("carry", says));
    }
    if spec.color.is_some() && !recolored && finish != Finish::Detail {
        let says = format!(
            "the preset {} does not recolor, and the finish {finish} keeps the model's own color: choose the preset recolor or auto, or \
             the finish detail, or leave the color out",
            spec.preset
        );
        return Err(Problem::field("color", says));
    }
    let spec = spec.finished(finish, asked.is_some());
    let model = model(state, request.model.as_deref()).await?;
    if let Some(why) = settings
        .length
        .as_ref()
        .and_then(|too_long| too_long(&model, &spec.instruction))
    {
        return Err(Problem::field("instruction", why));
    }
    mask_fits(state, tenant, request.image, request.mask).await?;
    let limits = limits(state, &model).await?;
    let refused = |error| Problem::invalid(vec![error]);
    limits.check(cost, spec.size).map_err(refused)?;
    let submission = Submission {
        id,
        tenant,
        image: request.image,
        parent: request.parent,
        session: request.session,
        version: None,
        mask: request.mask,
        batch: None,
        model,
        class: request.class,
        spec,
        needs,
        max_attempts: request.max_attempts.unwrap_or(Job::MAX_ATTEMPTS_DEFAULT),
        webhook_url: request.webhook.map(String::from),
        idempotency,
        trace,
    };
    Ok((submission, object))
}

/// Checks an edit that only recolors.
fn recolors(finish: Option<Finish>, region: bool) -> Result<(), Problem> {
    if let Some(finish) = finish {
        let says = format!(
            "this preset only recolors: the model makes no picture that {finish} could be done with; leave finish out"
        );
        return Err(Problem::field("finish", says));
    }
    if !region {
        let says = "must be given: this preset looks for no region";
        return Err(Problem::field("mask", says));
    }
    Ok(())
}

/// Refuses a mask of another size than its image. Those that are not there are refused when the edit is written.
async fn mask_fits(
    state: &State,
    tenant: TenantId,
    image: Option<ImageId>,
    mask: Option<ImageId>,
) -> Result<(), Problem> {
    let (Some(image), Some(mask)) = (image, mask) else {
        return Ok(());
    };
    let store = &state.services.store;
    let size = async |id| {
        let found = store.image_get(tenant, id).await?;
        Ok::<_, Problem>(found.map(|image| (image.width, image.height)))
    };
    match (size(image).await?, size(mask).await?) {
        (Some(picture), Some(mask)) if picture != mask => {
            Err(Error::MaskSize { mask, picture }.into())
        }
        _ => Ok(()),
    }
}

/// What edits of this model may ask for.
async fn limits(state: &State, model: &ModelName) -> Result<ModelLimits, Problem> {
    let announced = state.workers.limits(model).await?;
    Ok(announced.unwrap_or(state.settings.limits.unannounced))
}

/// The model of this name, or the default one.
pub(crate) async fn model(state: &State, name: Option<&str>) -> Result<ModelName, Problem> {
    let unknown = |name: &str| {
        Problem::new(
            ProblemCode::ModelNotFound,
            format!("there is no model {name}: see GET /v1/models"),
        )
    };
    let model = match name {
        Some(name) => name.parse().map_err(|_| unknown(name))?,
        None => match state.settings.models.first() {
            Some(model) => return Ok(model.clone()),
            None => {
                return Err(Problem::field(
                    "model",
                    "must be given: this gateway has no default",
                ));
            }
        },
    };
    // A configured model may have no worker now: a pool may scale from zero.
    if state.settings.models.contains(&model) || state.workers.holds(&model).await? {
        Ok(model)
    } else {
        Err(unknown(model.as_str()))
    }
}

/// Submits it. Returns the id, state and time of acceptance, and whether the request was a repeated one.
pub(crate) async fn submit(
    state: &State,
    submission: Submission,
) -> Result<(EditId, StateName, OffsetDateTime, bool), Problem> {
    let made = submission.id;
    let code = match state.services.submitter.submit(submission).await? {
        Submitted::Created {
            state, created_at, ..
        } => return Ok((made, state, created_at, false)),
        Submitted::Replayed {
            id,
            state,
            created_at,
        } => return Ok((id, state, created_at, true)),
        Submitted::InFlight { limit } => {
            let quota = Quota {
                limit: u64::from(limit),
                remaining: 0,
                reset_s: 1,
            };
            let detail = format!("{limit} edits have not ended: wait until some have");
            return Err(Problem::new(ProblemCode::InFlightLimit, detail).limited(quota, 1));
        }
        Submitted::RateLimited { retry_after, burst } => {
            let seconds = retry_after.as_secs_f64().ceil().max(1.0) as u64;
            let problem = Problem::new(
                ProblemCode::RateLimited,
                format!("one more edit is taken in {seconds} s"),
            );
            let quota = Quota {
                limit: u64::from(burst),
                remaining: 0,
                reset_s: seconds,
            };
            return Err(problem.limited(quota, seconds));
        }
        Submitted::KeyReused => ProblemCode::IdempotencyKeyReused,
        Submitted::NoImage => ProblemCode::ImageNotFound,
        Submitted::NoMask => ProblemCode::MaskNotFound,
        Submitted::NoParent => ProblemCode::ParentNotFound,
        Submitted::ParentEnded => ProblemCode::ParentEnded,
        Submitted::NoSession => ProblemCode::SessionNotFound,
        Submitted::HeadMoved { version } => return Err(Problem::head_moved(version)),
        Submitted::SessionEmpty => ProblemCode::SessionEmpty,
        Submitted::ImageElsewhere => ProblemCode::ImageElsewhere,
        Submitted::ParentElsewhere => ProblemCode::ParentElsewhere,
        Submitted::TooDeep => ProblemCode::DepthLimit,
        Submitted::TurnsLimit => ProblemCode::TurnsLimit,
        // The key was found a moment ago: its tenant is gone since.
        Submitted::NoTenant => ProblemCode::Unauthorized,
    };
    Err(Problem::plain(code))
}

/// The seed of an edit whose request gave none. It follows from the id, so that a repeated request is answered the same.
fn drawn_seed(edit: EditId) -> u64 {
    let hash = blake3::hash(edit.uuid().as_bytes());
    let mut seed = [0; 8];
    seed.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(seed) & SEED_MAX
}

#[cfg(test)]
mod tests {
    use limekiln_jobs::ImageId;

    use super::*;

    /// A field that comes later must be left out where it is not given: a request that is repeated across an upgrade is the
    /// same request.
    #[test]
    fn a_request_keeps_its_digest() {
        let image: ImageId = "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57".parse().unwrap();
        let request = EditRequest {
            image: Some(image),
            instruction: "make the sofa red".to_owned(),
            seed: Some(7),
            ..EditRequest::default()
        };
        assert_eq!(
            digest(&request).unwrap().to_string(),
            "63989cf49c84da9474870faec9d8f541b34cb13cb3dd2d49fdccdac88185a55f"
        );
    }
}
