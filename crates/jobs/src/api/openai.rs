//! OpenAI's image-edit API.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The form that OpenAI's clients send. It is read field by field; this describes it.
#[derive(Clone, Debug, ToSchema)]
pub struct ImageEditForm {
    /// Picture to edit: PNG, JPEG or WebP. Exactly one; the field may be called `image[]` as well.
    #[schema(value_type = String, format = Binary)]
    pub image: Vec<u8>,
    /// What to change, in words.
    #[schema(min_length = 1, max_length = 1000, example = "make the sofa red")]
    pub prompt: String,
    /// PNG of the picture's size that is transparent where the picture is to be edited. By default the region is found
    /// from the prompt.
    #[schema(value_type = Option<String>, format = Binary)]
    pub mask: Option<Vec<u8>>,
    /// Number of pictures to make, from consecutive seeds.
    #[schema(minimum = 1, maximum = 10, default = 1)]
    pub n: Option<u32>,
    /// Bounds the longer side at which the model works. The picture keeps its proportions.
    #[schema(value_type = Option<String>, pattern = "^(auto|256x256|512x512|1024x1024|1536x1024|1024x1536)$", example = "512x512")]
    pub size: Option<String>,
    /// `b64_json` (the default), or `url`: an address that works for some minutes.
    #[schema(value_type = Option<String>, pattern = "^(b64_json|url)$", example = "b64_json")]
    pub response_format: Option<String>,
    /// Model of this server. Names of OpenAI's models stand for the default one.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$", example = "gpt-image-1")]
    pub model: Option<String>,
    /// Format of the pictures: `png`.
    #[schema(value_type = Option<String>, pattern = "^png$", example = "png")]
    pub output_format: Option<String>,
    /// Seed of the first picture's noise. Not in OpenAI's API.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    pub seed: Option<u64>,
    /// Preset to start from. Not in OpenAI's API.
    pub preset: Option<String>,
    /// Whether pixels outside the region stay exactly those of the input. Not in OpenAI's API.
    pub keep_outside: Option<bool>,
    /// Accepted for OpenAI's clients and ignored.
    pub quality: Option<String>,
    /// Accepted for OpenAI's clients and ignored.
    pub background: Option<String>,
    /// Accepted for OpenAI's clients and ignored.
    pub input_fidelity: Option<String>,
    /// Accepted for OpenAI's clients and ignored.
    pub moderation: Option<String>,
    /// Accepted for OpenAI's clients and ignored.
    pub output_compression: Option<String>,
    /// Accepted for OpenAI's clients and ignored.
    pub user: Option<String>,
    /// `false`: pictures are not streamed. `GET /v1/edits/{id}/events` streams previews.
    pub stream: Option<bool>,
}

/// The edited pictures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImagesResponse {
    /// When the answer was made, in seconds since 1970 (UTC).
    #[schema(example = 1_735_787_045)]
    pub created: i64,
    /// The pictures, in the order of their seeds.
    pub data: Vec<OpenAiPicture>,
    /// Format of the pictures: `png`.
    #[schema(value_type = String, example = "png")]
    pub output_format: Cow<'static, str>,
}

/// An edited picture, as `response_format` asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiPicture {
    /// The PNG in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64_json: Option<String>,
    /// Address of the PNG, which works for some minutes and needs no key. On `limekiln dev` it is a `data:` address, with the
    /// picture in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// An error in OpenAI's form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiError {
    /// What went wrong.
    pub error: OpenAiProblem,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiProblem {
    /// What is wrong, in a sentence for people.
    pub message: String,
    /// Kind of the error: `invalid_request_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "invalid_request_error")]
    pub kind: Cow<'static, str>,
    /// Field of the form that is wrong.
    pub param: Option<String>,
    /// Stable code, for programs.
    #[schema(value_type = String, example = "request_invalid")]
    pub code: Cow<'static, str>,
}
