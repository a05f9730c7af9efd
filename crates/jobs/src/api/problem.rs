//! Answers to requests that failed: problem documents (RFC 9457) with stable codes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request failed: a problem document (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// Address on this server where the code is explained.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", example = "/docs#edit_not_found")]
    pub kind: String,
    /// What the code means, in words.
    #[schema(value_type = String, example = "There is no such edit")]
    pub title: Cow<'static, str>,
    /// Status of the answer.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong with this request, in a sentence for people.
    pub detail: String,
    /// Stable code, for programs.
    // Text, so that a client reads the codes of a newer gateway too.
    #[schema(value_type = ProblemCode, example = "edit_not_found")]
    pub code: Cow<'static, str>,
    /// Fields and parameters that are wrong, where single ones are to blame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Invalid>,
}

/// A field or parameter that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// Name of the field or parameter, as in the request.
    #[schema(example = "instruction")]
    pub field: String,
    /// What it must be.
    #[schema(example = "must have 1 to 1000 characters")]
    pub message: String,
}

impl ProblemDocument {
    /// The document of a problem.
    pub fn new(code: ProblemCode, detail: String, errors: Vec<Invalid>) -> Self {
        Self {
            kind: format!("/docs#{code}"),
            title: code.title().into(),
            status: code.status(),
            detail,
            code: code.as_str().into(),
            errors,
        }
    }
}

impl Invalid {
    /// A wrong field, and what it must be.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// The codes: variant, status, name, title, advice.
macro_rules! problem_codes {
    ($($name:ident $status:literal $text:literal $title:literal, $advice:literal;)*) => {
        crate::text_enum::text_enum! {
            /// Stable code of a problem. Programs look at it; titles and details are for people.
            pub enum ProblemCode, "a problem's code" {
                $(#[doc = $title] $name = $text,)*
            }
        }

        impl ProblemCode {
            /// What the code means, in words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What a client can do about it.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

problem_codes! {
    Malformed 400 "malformed" "The request can't be read", "Send it as HTTP/1.1 and the API's description say.";
    ParameterInvalid 400 "parameter_invalid" "A parameter is not what it should be", "Look at the path, the query and the headers; the detail names the parameter.";
    JsonInvalid 400 "json_invalid" "The body is not JSON", "Send one JSON value in UTF-8.";
    FormInvalid 400 "form_invalid" "The form can't be read", "Send multipart/form-data with the fields of the API's description, each at most once.";
    BodyIncomplete 400 "body_incomplete" "The body stopped in the middle", "Send it again, whole.";
    Unauthorized 401 "unauthorized" "There is no such API key", "Send `Authorization: Bearer lk_...`; `limekiln keys` makes keys.";
    Forbidden 403 "forbidden" "The key may not do this", "Use a key of the role admin.";
    StorageLimit 403 "storage_limit" "The tenant's storage is full", "Delete images and edits, or ask the operator for more; GET /v1/me shows limit and use.";
    SessionsLimit 403 "sessions_limit" "The tenant has as many sessions as it may", "Delete some.";
    NotFound 404 "not_found" "There is nothing at this address", "Look at /openapi.json for what there is.";
    EditNotFound 404 "edit_not_found" "There is no such edit", "Use the id that POST /v1/edits gave, with a key of the same tenant.";
    ImageNotFound 404 "image_not_found" "There is no such image", "Upload it with POST /v1/images; images expire when nothing uses them.";
    MaskNotFound 404 "mask_not_found" "There is no such mask", "Upload it with POST /v1/images.";
    ParentNotFound 404 "parent_not_found" "There is no such parent", "Use the id of one of your edits.";
    SessionNotFound 404 "session_not_found" "There is no such session", "Make one with POST /v1/sessions.";
    TurnNotFound 404 "turn_not_found" "The session has no such turn", "GET the session: its tree has all its turns.";
    BranchNotFound 404 "branch_not_found" "The session has no such branch", "GET the session: it lists its branches.";
    SegmentationNotFound 404 "segmentation_not_found" "The picture has no such segmentation", "Make one with POST /v1/images/{id}/segmentation, or, of a turn's result, /v1/edits/{id}/segmentation, and wait for it.";
    CatalogNotFound 404 "catalog_not_found" "There is no such catalog", "Use the id that POST /v1/catalogs gave, with a key of the same tenant.";
    FileNotFound 404 "file_not_found" "There is no such file", "Upload it with POST /v1/files, with a key of the same tenant; files expire.";
    BatchNotFound 404 "batch_not_found" "There is no such batch", "Use the id that POST /v1/batches gave, with a key of the same tenant.";
    FilesLimit 403 "files_limit" "The tenant has as many files as it may", "Delete some with DELETE /v1/files/{id}.";
    WorkerNotFound 404 "worker_not_found" "There is no such worker", "Look at GET /v1/admin/workers.";
    TenantNotFound 404 "tenant_not_found" "There is no such tenant", "Look at GET /v1/admin/tenants.";
    ModelNotFound 404 "model_not_found" "There is no such model", "Look at GET /v1/models.";
    ArtifactNotFound 404 "artifact_not_found" "The edit has no such artifact", "Look at the edit's artifacts; an edit without a region of interest has no roi.";
    MethodNotAllowed 405 "method_not_allowed" "The address does not take this method", "The Allow header says which it takes.";
    BodyTimeout 408 "body_timeout" "The body took too long", "Send it again, over a faster connection.";
    EditUnfinished 409 "edit_unfinished" "The edit has no result yet", "Follow its events, or ask again later.";
    EditNotEnded 409 "edit_not_ended" "The edit has not ended", "Cancel it first: POST /v1/edits/{id}/cancel.";
    EditInUse 409 "edit_in_use" "Turns build on the edit", "Delete those first, or all at once with `?cascade=true`.";
    ImageInUse 409 "image_in_use" "Edits name the image", "Delete those first, or all at once with `?cascade=true`.";
    EditEnded 409 "edit_ended" "The edit has ended", "Only edits that have not ended can be cancelled, and only those that succeeded have results.";
    EditNotFailed 409 "edit_not_failed" "The edit has not failed", "Only failed edits can be retried.";
    SegmentationOutdated 409 "segmentation_outdated" "The picture has a newer segmentation, with other segments", "GET it, and name its segments.";
    ParentEnded 409 "parent_ended" "The parent ended without a result", "Build on an edit that succeeded, or on an image.";
    ParentElsewhere 409 "parent_elsewhere" "The parent belongs to another session", "Build on a turn of this session, or leave `session` out: an edit is added to its parent's.";
    ImageElsewhere 409 "image_elsewhere" "The session starts from another picture", "Leave `image` out, or make another session.";
    SessionEmpty 409 "session_empty" "The session has no picture yet", "Name one in `image`: the session starts from it.";
    TurnEnded 409 "turn_ended" "The turn ended without a result", "Choose one that has not failed and was not cancelled.";
    NothingToUndo 409 "nothing_to_undo" "The head is at the picture that the session starts from", "The head is at the picture that the session starts from: there is nothing before it.";
    NothingToRedo 409 "nothing_to_redo" "No turn builds on the head", "No turn builds on the head: post one, or go to another by its id.";
    DepthLimit 409 "depth_limit" "Too many turns build on each other", "Upload the result as an image, and go on from there.";
    TurnsLimit 409 "turns_limit" "The session has had as many turns as it may", "Make another session, from the result of this one.";
    BranchExists 409 "branch_exists" "The session has such a branch already", "Choose another name, or move that branch.";
    BranchesLimit 409 "branches_limit" "The session has as many branches as it may", "Delete some.";
    SessionBusy 409 "session_busy" "Turns keep coming in", "Stop posting them, then delete the session again.";
    HeadMoved 412 "head_moved" "The session's head has moved", "GET the session, look at its head, and send its ETag in If-Match.";
    CatalogSealed 409 "catalog_sealed" "The catalog takes no more rows", "It was sealed or cancelled. Make another one.";
    CatalogsLimit 403 "catalogs_limit" "The tenant has as many open catalogs as it may", "Wait until some have ended, or cancel some.";
    RowReused 409 "row_reused" "The number of a row came with another row", "Numbers say which rows came before: use each for one row only.";
    SecretRotating 409 "secret_rotating" "The secret was replaced a short while ago", "GET /v1/webhooks/secret shows both. Replace it again once the former one has ended, or with overlap_hours=0, which ends the former one.";
    BodyTooLarge 413 "body_too_large" "The body is too large", "Send less; GET /v1/me shows the limits.";
    MediaTypeUnsupported 415 "media_type_unsupported" "The body's media type is not accepted here", "Name it in Content-Type, as the API's description says.";
    ContentEncodingUnsupported 415 "content_encoding_unsupported" "Compressed bodies are not accepted", "Send the body without Content-Encoding.";
    ImageUnsupported 415 "image_unsupported" "Not a picture that can be read", "Send a PNG, JPEG, WebP or TIFF picture; the detail says how to convert others.";
    RangeUnsatisfiable 416 "range_unsatisfiable" "The file has no such bytes", "Ask for a range within the length that Content-Range gives, or leave Range out.";
    RequestInvalid 422 "request_invalid" "Fields are not what they should be", "The detail says which, and what they must be; `errors` lists them.";
    OptionsInvalid 422 "options_invalid" "The preset can't take these options", "The detail says which field, and why.";
    IdempotencyKeyReused 422 "idempotency_key_reused" "The idempotency key came with another request", "Use a new key for each new request.";
    ImageEmpty 422 "image_empty" "The picture has no bytes", "Send the picture as the body.";
    ImageDamaged 422 "image_damaged" "The picture is damaged", "Save it again.";
    ImagePixelsLimit 422 "image_pixels_limit" "The picture has too many pixels", "Shrink it.";
    MaskInvalid 422 "mask_invalid" "The mask does not fit", "Send a PNG of the picture's size; where it is transparent, the picture is edited.";
    EditFailed 422 "edit_failed" "The edit can't be done", "The detail says why.";
    RateLimited 429 "rate_limited" "Too many requests", "Wait as long as Retry-After says.";
    InFlightLimit 429 "in_flight_limit" "Too many edits are under way", "Wait until some have ended.";
    RequestRateLimit 429 "request_rate_limit" "The key sends too many requests", "Wait as long as Retry-After says; RateLimit-Remaining says how many may follow.";
    ConcurrencyLimit 429 "concurrency_limit" "The tenant has too many requests under way", "Wait until some are answered.";
    StreamLimit 429 "stream_limit" "The tenant has too many streams of events open", "Close some, or read edits with GET.";
    WaitLimit 429 "wait_limit" "The tenant waits for too many pictures", "Wait until some have come, or use POST /v1/edits.";
    UploadLimit 429 "upload_limit" "The tenant has uploaded enough for today", "Wait for the next day (UTC), as Retry-After says.";
    Internal 500 "internal" "The server failed", "Try again. If it stays, give the operator the request's id (the header X-Request-Id).";
    Unavailable 503 "unavailable" "Something that the server depends on is down", "Try again in a moment.";
    Overloaded 503 "overloaded" "The server has too much to do", "Try again in a moment.";
    DiskFull 503 "disk_full" "A disk of the server is full", "Tell the operator; try again once there is room.";
    Timeout 504 "timeout" "The answer took too long", "Try again; with an Idempotency-Key no edit is made twice.";
}
