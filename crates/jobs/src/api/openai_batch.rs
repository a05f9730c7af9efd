//! OpenAI's files and batches.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// The form that a file comes in. It is read part by part; this describes it.
#[derive(Clone, Debug, ToSchema)]
pub struct OpenAiFileForm {
    /// `batch` for a file of requests, a JSON object on each line; `vision` for a picture (PNG, JPEG, WebP or TIFF) that requests name.
    #[schema(pattern = "^(batch|vision)$", example = "batch")]
    pub purpose: String,
    /// The file.
    #[schema(value_type = String, format = Binary)]
    pub file: Vec<u8>,
    /// `created_at`, where the file is to go after `expires_after[seconds]`.
    #[schema(rename = "expires_after[anchor]", value_type = Option<String>, pattern = "^created_at$")]
    pub anchor: Option<String>,
    /// Seconds after which the file goes by itself; 30 days by default.
    #[schema(rename = "expires_after[seconds]", minimum = 3600, maximum = 2_592_000)]
    pub seconds: Option<u64>,
}

/// A file as OpenAI's files API describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiFile {
    /// Id of the file.
    #[schema(example = "file-01939e0c8a527c319d0f3b1d6c2a4e57")]
    pub id: String,
    /// `file`.
    #[schema(value_type = String, example = "file")]
    pub object: Cow<'static, str>,
    /// Length in bytes. Of what came of a batch it is about that, since those files are made when they are downloaded.
    #[schema(example = 52_480)]
    pub bytes: u64,
    /// When it came, in seconds since 1970 (UTC).
    #[schema(example = 1_735_787_045)]
    pub created_at: i64,
    /// When it goes by itself, in seconds since 1970 (UTC). What came of a batch goes with the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// As it was called.
    #[schema(example = "requests.jsonl")]
    pub filename: String,
    /// `batch`, `vision`, or `batch_output`.
    #[schema(example = "batch")]
    pub purpose: String,
    /// `processed`.
    #[schema(value_type = String, example = "processed")]
    pub status: Cow<'static, str>,
}

/// A page of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiFilePage {
    /// `list`.
    #[schema(value_type = String, example = "list")]
    pub object: Cow<'static, str>,
    /// The files.
    pub data: Vec<OpenAiFile>,
    /// Id of the first of them.
    pub first_id: Option<String>,
    /// Id of the last of them: `after` of the next page.
    pub last_id: Option<String>,
    /// Whether there are more.
    pub has_more: bool,
}

/// What files are asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OpenAiFileQuery {
    /// Those for this alone.
    #[param(max_length = 40, example = "batch")]
    pub purpose: Option<String>,
    /// Those after this one.
    #[param(pattern = "^file-[0-9a-f]{32}$")]
    pub after: Option<String>,
    /// How many, at most.
    #[param(minimum = 1, maximum = 10_000)]
    pub limit: Option<u32>,
    /// By the time of coming: `desc`, the default, has the newest first.
    #[param(pattern = "^(asc|desc)$")]
    pub order: Option<String>,
}

/// A file that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiFileDeleted {
    /// Id of the file.
    pub id: String,
    /// `file`.
    #[schema(value_type = String, example = "file")]
    pub object: Cow<'static, str>,
    /// `true`.
    pub deleted: bool,
}

/// A batch to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenAiBatchRequest {
    /// The file of requests, uploaded with the purpose `batch`: up to 50,000 lines.
    #[schema(pattern = "^file-[0-9a-f]{32}$")]
    pub input_file_id: String,
    /// `/v1/images/edits`: where each request would go.
    #[schema(pattern = "^/v1/images/edits$", example = "/v1/images/edits")]
    pub endpoint: String,
    /// Within which time it is to end, from `1h` to `720h`, or in days (`7d`). What has not ended by then is cancelled.
    #[schema(
        pattern = "^([1-9]|[1-9][0-9]|[1-6][0-9]{2}|7[01][0-9]|720)h$|^([1-9]|[12][0-9]|30)d$",
        example = "24h"
    )]
    pub completion_window: String,
    /// Up to 16 texts that come back with the batch; names have up to 64 characters, texts up to 512.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Accepted for OpenAI's clients and ignored: what came of a batch goes with the batch.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub output_expires_after: Option<Value>,
}

/// A batch: how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiBatchView {
    /// Id of the batch. Its hexadecimal digits are those of a catalog's id: `GET /v1/catalogs/{id}` shows the same rows.
    #[schema(example = "batch_01939e0c8a527c319d0f3b1d6c2a4e57")]
    pub id: String,
    /// `batch`.
    #[schema(value_type = String, example = "batch")]
    pub object: Cow<'static, str>,
    /// Where each request would go.
    pub endpoint: String,
    /// What is wrong with the file of requests, where it failed for that.
    pub errors: Option<OpenAiBatchErrors>,
    /// The file of requests.
    pub input_file_id: String,
    /// Within which time it is to end.
    pub completion_window: String,
    /// `validating` while its file is read, `in_progress`, `finalizing`, then `completed`; or `failed` (its file is wrong), `expired`,
    /// `cancelling`, `cancelled`.
    #[schema(value_type = String, example = "in_progress")]
    pub status: Cow<'static, str>,
    /// The file of results, once the batch ended and there is any.
    pub output_file_id: Option<String>,
    /// The file of requests without a result, once the batch ended and there is any.
    pub error_file_id: Option<String>,
    /// When it was made, in seconds since 1970 (UTC), as all times here.
    pub created_at: i64,
    /// When its file was read.
    pub in_progress_at: Option<i64>,
    /// When it is stopped.
    pub expires_at: Option<i64>,
    /// When its last request ended.
    pub finalizing_at: Option<i64>,
    /// When it was completed.
    pub completed_at: Option<i64>,
    /// When its file was found wrong.
    pub failed_at: Option<i64>,
    /// When it was stopped.
    pub expired_at: Option<i64>,
    /// When somebody cancelled it.
    pub cancelling_at: Option<i64>,
    /// When it was cancelled.
    pub cancelled_at: Option<i64>,
    /// How many requests it has.
    pub request_counts: OpenAiRequestCounts,
    /// What it came with.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// How many requests a batch has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiRequestCounts {
    /// All of them, as far as its file was read.
    pub total: u64,
    /// Those with a result.
    pub completed: u64,
    /// Those that ended without one.
    pub failed: u64,
}

/// What is wrong with a file of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiBatchErrors {
    /// `list`.
    #[schema(value_type = String, example = "list")]
    pub object: Cow<'static, str>,
    /// The first 50 lines that are wrong.
    pub data: Vec<OpenAiBatchError>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiBatchError {
    /// Stable code, for programs.
    #[schema(value_type = String, example = "invalid_json_line")]
    pub code: Cow<'static, str>,
    /// What is wrong, in a sentence for people.
    pub message: String,
    /// The field that is wrong.
    pub param: Option<String>,
    /// Number of the line in the file, from 1.
    pub line: Option<u64>,
}

/// A page of batches, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiBatchPage {
    /// `list`.
    #[schema(value_type = String, example = "list")]
    pub object: Cow<'static, str>,
    /// The batches.
    pub data: Vec<OpenAiBatchView>,
    /// Id of the first of them.
    pub first_id: Option<String>,
    /// Id of the last of them: `after` of the next page.
    pub last_id: Option<String>,
    /// Whether there are more.
    pub has_more: bool,
}

/// What batches are asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OpenAiBatchQuery {
    /// Those after this one.
    #[param(pattern = "^batch_[0-9a-f]{32}$")]
    pub after: Option<String>,
    /// How many, at most.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}
