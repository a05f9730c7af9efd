//! Segmentations of pictures.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::EditId;

/// How to segment a picture. Everything may be left out; what is left out is as it is of an edit, so that the segments are those
/// that edits are located by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentationRequest {
    /// Preset whose segments are made: one that locates from the picture itself.
    #[serde(default)]
    #[schema(example = "fast", pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    pub preset: Option<String>,
    /// Model to run.
    #[serde(default)]
    #[schema(example = "rooms", pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub model: Option<String>,
    /// Longer side, in pixels, at which the model works.
    #[serde(default)]
    #[schema(minimum = 64, maximum = 2048, example = 512)]
    pub size: Option<u32>,
}

/// A picture's segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SegmentationView {
    /// Id of the segmentation, for the field `region` of an edit; also that of the edit that made it.
    pub id: EditId,
    /// The segments.
    #[serde(flatten)]
    pub parts: Parts,
    /// Path of the same as a picture, whose pixels of 16 bits are the segments' numbers.
    #[schema(example = "/v1/images/01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57/segmentation/labels")]
    pub labels: String,
}

/// The segments of a picture, as they are stored. Sizes are in pixels of the upright picture at its full size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Parts {
    /// Name of the model's checkpoint.
    pub model: String,
    /// Fingerprint of the checkpoint.
    pub fingerprint: String,
    /// Preset that they were made by.
    #[schema(example = "fast")]
    pub preset: String,
    /// Width of the picture.
    #[schema(example = 1024)]
    pub width: u32,
    /// Height of the picture.
    #[schema(example = 768)]
    pub height: u32,
    /// Cells of the grid on a side, which is stretched over the picture: cell `(i, j)` begins at pixel `(ceil(i * width / grid),
    /// ceil(j * height / grid))`.
    #[schema(example = 64)]
    pub grid: u32,
    /// The connected parts of segments, in reading order: number 1 is the first.
    pub segments: Vec<Part>,
}

/// A connected part of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    /// Its number, from 1.
    #[schema(example = 7)]
    pub number: u32,
    /// Its pixels.
    #[schema(example = 40_960)]
    pub area: u64,
    /// The rectangle around it: left, top, width, height.
    #[schema(example = json!([120, 340, 200, 160]))]
    pub bounds: [u32; 4],
    /// Its mean color.
    #[schema(example = "#8C5A3C")]
    pub color: String,
}
