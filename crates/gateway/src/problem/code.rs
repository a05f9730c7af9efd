//! Every way a request can fail, with its stable name.

use axum::http::StatusCode;

macro_rules! codes {
    ($($name:ident $status:literal $text:literal $title:literal, $advice:literal;)*) => {
        /// Stable names of problems. Programs look at these; titles and details are for people.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $advice] $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in `code`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The same for every problem of this code.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What to do about it.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }

            const fn status_u16(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    Malformed 400 "malformed" "The request can't be read", "Send it as HTTP/1.1 and the API's description say.";
    ParameterInvalid 400 "parameter_invalid" "A parameter is not what it should be", "Look at the path, the query and the headers; the detail names the parameter.";
    JsonInvalid 400 "json_invalid" "The body is not JSON", "Send one JSON value in UTF-8.";
    FormInvalid 400 "form_invalid" "The form can't be read", "Send multipart/form-data with the fields of the API's description, each at most once.";
    BodyIncomplete 400 "body_incomplete" "The body stopped in the middle", "Send it again, whole.";
    Unauthorized 401 "unauthorized" "There is no such API key", "Send `Authorization: Bearer lk_...`; `limekiln keys` makes keys.";
    Forbidden 403 "forbidden" "The key may not do this", "Use a key of the role admin.";
    NotFound 404 "not_found" "There is nothing at this address", "Look at /openapi.json for what there is.";
    EditNotFound 404 "edit_not_found" "There is no such edit", "Use the id that POST /v1/edits gave, with a key of the same tenant.";
    ImageNotFound 404 "image_not_found" "There is no such image", "Upload it with POST /v1/images; images expire when nothing uses them.";
    MaskNotFound 404 "mask_not_found" "There is no such mask", "Upload it with POST /v1/images.";
    ParentNotFound 404 "parent_not_found" "There is no such parent", "Use the id of one of your edits.";
    SessionNotFound 404 "session_not_found" "There is no such session", "Make one with POST /v1/sessions.";
    WorkerNotFound 404 "worker_not_found" "There is no such worker", "Look at GET /v1/admin/workers.";
    ModelNotFound 404 "model_not_found" "There is no such model", "Look at GET /v1/models.";
    ArtifactNotFound 404 "artifact_not_found" "The edit has no such artifact", "Look at the edit's artifacts; an edit without a region of interest has no roi.";
    MethodNotAllowed 405 "method_not_allowed" "The address does not take this method", "The Allow header says which it takes.";
    BodyTimeout 408 "body_timeout" "The body took too long", "Send it again, over a faster connection.";
    EditUnfinished 409 "edit_unfinished" "The edit has no result yet", "Follow its events, or ask again later.";
    EditEnded 409 "edit_ended" "The edit has ended", "Only edits that have not ended can be cancelled, and only those that succeeded have results.";
    EditNotFailed 409 "edit_not_failed" "The edit has not failed", "Only failed edits can be retried.";
    ParentEnded 409 "parent_ended" "The parent ended without a result", "Build on an edit that succeeded, or on an image.";
    BodyTooLarge 413 "body_too_large" "The body is too large", "Send less; GET /v1/me shows the limits.";
    MediaTypeUnsupported 415 "media_type_unsupported" "The body's type is not taken here", "Name it in Content-Type, as the API's description says.";
    MediaTypeMismatch 415 "media_type_mismatch" "The body is not of the type it claims", "Send the picture's own type, or application/octet-stream.";
    EncodingUnsupported 415 "content_encoding_unsupported" "Compressed bodies are not taken", "Send the body without Content-Encoding.";
    ImageUnsupported 415 "image_unsupported" "Not a picture that can be read", "Send a PNG, JPEG or WebP picture.";
    RequestInvalid 422 "request_invalid" "Fields are not what they should be", "`errors` says which, and what is wrong.";
    OptionsInvalid 422 "options_invalid" "The preset can't be had with these options", "The detail says which field.";
    IdempotencyKeyReused 422 "idempotency_key_reused" "The idempotency key came with another request", "Make a new key for a new request.";
    ImageEmpty 422 "image_empty" "The picture has no bytes", "Send the picture as the body.";
    ImageDamaged 422 "image_damaged" "The picture is damaged", "Save it again.";
    ImagePixelsLimit 422 "image_pixels_limit" "The picture has too many pixels", "Shrink it.";
    MaskInvalid 422 "mask_invalid" "The mask does not fit", "Send a PNG of the picture's size; where it is transparent, the picture is edited.";
    EditFailed 422 "edit_failed" "The edit can't be done", "The detail says why.";
    RateLimited 429 "rate_limited" "Too many requests", "Wait as long as Retry-After says.";
    InFlightLimit 429 "in_flight_limit" "Too many edits have not ended", "Wait until some have.";
    Internal 500 "internal" "We failed", "Try again; if it stays, tell the operator the request's id.";
    Unavailable 503 "unavailable" "Something behind the gateway is down", "Try again in a moment.";
    Overloaded 503 "overloaded" "Too much at once", "Try again in a moment.";
    Timeout 504 "timeout" "It took too long", "Try again; an Idempotency-Key keeps edits from being made twice.";
}

impl Code {
    /// The HTTP status that goes with it.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The code of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// The code for a bare status, as a library below answers it.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::BodyTimeout,
            413 => Self::BodyTooLarge,
            415 => Self::MediaTypeUnsupported,
            422 => Self::RequestInvalid,
            429 => Self::RateLimited,
            503 => Self::Unavailable,
            504 => Self::Timeout,
            400..=499 => Self::Malformed,
            _ => Self::Internal,
        }
    }
}
