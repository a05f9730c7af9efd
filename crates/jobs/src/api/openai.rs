//! OpenAI's image-edit API.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The form that OpenAI's clients send. It is read field by field; this describes it.
#[derive(Clone, Debug, ToSchema)]
pub struct ImageEditForm {
    /// Picture to edit: PNG, JPEG, WebP or TIFF. Exactly one; the field may be called `image[]` as well.
    #[schema(value_type = String, format = Binary)]
    pub image: Vec<u8>,
    /// What to change, in words.
    #[schema(min_length = 1, max_length = 1000, example = "make the sofa red")]
    pub prompt: String,
    /// PNG of the picture's size that is transparent where the picture is to be edited. By default the transparent part of the
    /// picture itself, or else what is found from the prompt.
    #[schema(value_type = Option<String>, format = Binary)]
    pub mask: Option<Vec<u8>>,
    /// Number of pictures to make, from consecutive seeds.
    #[schema(minimum = 1, maximum = 10, default = 1)]
    pub n: Option<u32>,
    /// Bounds the longer side of the result, once it is finished; it keeps its proportions and is never enlarged. `auto`, the
    /// default, leaves its size as it is: the input's where the edit has a region.
    #[schema(value_type = Option<String>, pattern = "^(auto|256x256|512x512|1024x1024|1536x1024|1024x1536)$", example = "512x512")]
    pub size: Option<String>,
    /// `b64_json` (the default), or `url`: an address that works for some minutes.
    #[schema(value_type = Option<String>, pattern = "^(b64_json|url)$", example = "b64_json")]
    pub response_format: Option<String>,
    /// Model of this server. Names of OpenAI's models stand for the default one.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$", example = "gpt-image-1")]
    pub model: Option<String>,
    /// Format of the pictures: `png` (the default), `jpeg` or `webp`.
    #[schema(value_type = Option<String>, pattern = "^(png|jpeg|webp)$", example = "png")]
    pub output_format: Option<String>,
    /// Quality of a JPEG or WebP in percent. At 100, the default, WebP is without loss. A PNG always is, and takes 100 only.
    #[schema(minimum = 0, maximum = 100, example = 85)]
    pub output_compression: Option<u32>,
    /// Seed of the first picture's noise. Not in OpenAI's API.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    pub seed: Option<u64>,
    /// Preset to start from. Not in OpenAI's API.
    pub preset: Option<String>,
    /// How the model's picture becomes the result, as in `POST /v1/edits`. Not in OpenAI's API.
    #[schema(value_type = Option<String>, pattern = "^(none|paste|detail)$", example = "detail")]
    pub finish: Option<String>,
    /// The color that the object ends at, with presets that recolor, as in `POST /v1/edits`. Not in OpenAI's API.
    #[schema(max_length = 100, example = "#1F6F8B")]
    pub color: Option<String>,
    /// Which materials of the object get the color, as in `POST /v1/edits`. Not in OpenAI's API.
    #[schema(max_length = 100, example = "all")]
    pub material: Option<String>,
    /// Whether `mask` only says roughly where. Not in OpenAI's API.
    pub matte: Option<bool>,
    /// `true` means `finish=paste`, `false` says nothing. Use `finish`. Not in OpenAI's API.
    #[schema(deprecated)]
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
    pub user: Option<String>,
    /// Whether the answer is a stream of server-sent events: `image_edit.partial_image` and `image_edit.completed`.
    pub stream: Option<bool>,
    /// Most pictures of the first edit under way that a stream shows: small JPEGs, as far as there are any.
    #[schema(minimum = 0, maximum = 3)]
    pub partial_images: Option<u32>,
}

/// The same as JSON. It is read field by field; this describes it.
#[derive(Clone, Debug, ToSchema)]
pub struct ImageEditJson {
    /// Picture to edit: exactly one.
    #[schema(min_items = 1, max_items = 1)]
    pub images: Vec<ImageAddress>,
    /// What to change, in words.
    #[schema(min_length = 1, max_length = 1000, example = "make the sofa red")]
    pub prompt: String,
    /// PNG of the picture's size that is transparent where the picture is to be edited. By default the transparent part of the
    /// picture itself, or else what is found from the prompt.
    pub mask: Option<ImageAddress>,
    /// Number of pictures to make, from consecutive seeds.
    #[schema(minimum = 1, maximum = 10, default = 1)]
    pub n: Option<u32>,
    /// As in the form.
    pub size: Option<String>,
    /// `b64_json` (the default), or `url`: an address that works for some minutes.
    #[schema(value_type = Option<String>, pattern = "^(b64_json|url)$", example = "b64_json")]
    pub response_format: Option<String>,
    /// Model of this server. Names of OpenAI's models stand for the default one.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,62}$", example = "gpt-image-1")]
    pub model: Option<String>,
    /// As in the form.
    pub output_format: Option<String>,
    /// Quality of a JPEG or WebP in percent. At 100, the default, WebP is without loss. A PNG always is, and takes 100 only.
    #[schema(minimum = 0, maximum = 100, example = 85)]
    pub output_compression: Option<u32>,
    /// Seed of the first picture's noise. Not in OpenAI's API.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    pub seed: Option<u64>,
    /// Preset to start from. Not in OpenAI's API.
    pub preset: Option<String>,
    /// How the model's picture becomes the result, as in `POST /v1/edits`. Not in OpenAI's API.
    #[schema(value_type = Option<String>, pattern = "^(none|paste|detail)$", example = "detail")]
    pub finish: Option<String>,
    /// The color that the object ends at, with presets that recolor, as in `POST /v1/edits`. Not in OpenAI's API.
    #[schema(max_length = 100, example = "#1F6F8B")]
    pub color: Option<String>,
    /// Which materials of the object get the color, as in `POST /v1/edits`. Not in OpenAI's API.
    #[schema(max_length = 100, example = "all")]
    pub material: Option<String>,
    /// Whether `mask` only says roughly where. Not in OpenAI's API.
    pub matte: Option<bool>,
    /// `true` means `finish=paste`, `false` says nothing. Use `finish`. Not in OpenAI's API.
    #[schema(deprecated)]
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
    pub user: Option<String>,
    /// Whether the answer is a stream of server-sent events.
    pub stream: Option<bool>,
    /// Most pictures of the first edit under way that a stream shows.
    #[schema(minimum = 0, maximum = 3)]
    pub partial_images: Option<u32>,
}

/// A picture: exactly one of the two.
#[derive(Clone, Debug, ToSchema)]
pub struct ImageAddress {
    /// A `data:` address with the file in base64: nothing is fetched from others.
    #[schema(pattern = "^data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}$")]
    pub image_url: Option<String>,
    /// A file that was uploaded with the purpose `vision`, or the id of an image of `POST /v1/images`.
    #[schema(pattern = "^(file-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")]
    pub file_id: Option<String>,
}

/// An event of a stream of pictures, as server-sent events have it.
#[derive(Clone, Debug, ToSchema)]
pub struct ImageEditEvent {
    /// `image_edit.partial_image`, `image_edit.completed` or `error`.
    #[schema(example = "image_edit.completed")]
    pub event: String,
    /// The event as JSON: `type`, `b64_json` and `output_format`; of the result also `usage`,
    /// and `pixels_moved` as the header `Limekiln-Pixels-Moved` has it; of an error `error`.
    pub data: String,
}

/// The edited pictures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImagesResponse {
    /// When the answer was made, in seconds since 1970 (UTC).
    #[schema(example = 1_735_787_045)]
    pub created: i64,
    /// The pictures, in the order of their seeds.
    pub data: Vec<OpenAiPicture>,
    /// Format of the pictures: `png`, `jpeg` or `webp`.
    #[schema(value_type = String, example = "png")]
    pub output_format: Cow<'static, str>,
}

/// An edited picture, as `response_format` asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiPicture {
    /// The picture's file in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64_json: Option<String>,
    /// Address of the picture, which works for some minutes and needs no key. On `limekiln dev`, and where `size` or
    /// `output_format` ask for another file than is stored, it is a `data:` address, with the picture in it.
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
