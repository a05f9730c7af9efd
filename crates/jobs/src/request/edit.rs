//! The fields of an edit request.
//!
//! ```
//! # use limekiln_jobs::EditRequest;
//! let request: EditRequest = serde_json::from_str(
//!     r#"{"image": "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57", "instruction": "make the sofa red"}"#,
//! ).unwrap();
//! assert!(request.validate().is_ok());
//! ```

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;

use crate::class::Class;
use crate::finish::{Carry, Finish};
use crate::ids::{EditId, ImageId, SessionId};
use crate::request::region::Region;
use crate::reuse::Reuse;

/// What to edit and how. Exactly one of `image` and `parent` is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"image": "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57", "instruction": "make the sofa red"}))]
pub struct EditRequest {
    /// Image to edit, as uploaded with `POST /v1/images`.
    #[serde(default)]
    pub image: Option<ImageId>,
    /// Edit whose result is edited further. It may still be running: this edit then waits for it.
    #[serde(default)]
    pub parent: Option<EditId>,
    /// Session to add the edit to, as made with `POST /v1/sessions`. By default the session of `parent`, if it has one; that of
    /// another session is refused.
    #[serde(default)]
    pub session: Option<SessionId>,
    /// What to change, in words. Not only white space, and no control characters.
    #[schema(min_length = 1, max_length = 1000, example = "make the sofa red")]
    pub instruction: String,
    /// Preset to start from, one of those that `GET /v1/models` lists. By default the first of them.
    #[serde(default)]
    #[schema(example = "fast", pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    pub preset: Option<String>,
    /// Fields of the preset to replace, nested as they are in the preset.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// Seed of the noise: the same request with the same seed gives the same picture. Drawn at random by default.
    #[serde(default)]
    #[schema(maximum = 9_007_199_254_740_991_i64, minimum = 0, example = 7)]
    pub seed: Option<u64>,
    /// Image that says where to edit: white may change, black stays. By default the region is found from the
    /// instruction.
    #[serde(default)]
    pub mask: Option<ImageId>,
    /// Where to edit, in place of `mask`: by segments, points, or the region of an earlier edit. The picture says where the object in
    /// it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Longer side, in pixels, at which the model works. By default as large as suits the model.
    #[serde(default)]
    #[schema(minimum = 64, maximum = 2048, example = 512)]
    pub size: Option<u32>,
    /// How the model's picture becomes the result. By default `detail` where the edit has a region, which the preset looks for or
    /// `mask` gives, and `none` where it has none. Where such an edit finds no region, the result is that of `none`, and its
    /// report warns of it.
    // Left out where it says nothing, so that a request which was sent before this field came has the same digest.
    #[serde(
        default,
        deserialize_with = "crate::text_enum::asked_opt",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(schema_with = Finish::asked_schema)]
    pub finish: Option<Finish>,
    /// Which way the finish `detail` takes; by default `auto`.
    #[serde(
        default,
        deserialize_with = "crate::text_enum::asked_opt",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(schema_with = Carry::asked_schema)]
    pub carry: Option<Carry>,
    /// How much is taken over of what earlier edits computed; by default `exact`.
    #[serde(
        default,
        deserialize_with = "crate::text_enum::asked_opt",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(schema_with = Reuse::asked_schema)]
    pub reuse: Option<Reuse>,
    /// The color that the object ends at, with presets that recolor and with the finish `detail`: `#RRGGBB`, a CSS name such as `teal`, or `lab(L a b)`; opaque.
    /// By default the color that the instruction asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100, example = "#1F6F8B")]
    pub color: Option<String>,
    /// Which materials of the object get the color: `main`, `all`, or numbers such as `2` or `1,3`, as the report of an earlier
    /// recolor lists them. By default the main one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100, example = "2")]
    pub material: Option<String>,
    /// Whether `mask` only says roughly where: the picture says where the object in it ends. By default the mask is taken as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub matte: bool,
    /// `true` means `finish: "paste"`, `false` says nothing. Use `finish`.
    #[serde(default)]
    #[schema(deprecated)]
    pub keep_outside: bool,
    /// Whether to leave EXIF, XMP, comments and resolution out of the result. Its color profile stays: without it the colors would
    /// be others.
    // Left out where it says nothing, as `finish` is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strip_metadata: bool,
    /// Model to run, one of those that `GET /v1/models` lists. By default the one marked there.
    #[serde(default)]
    #[schema(example = "rooms", pattern = "^[a-z0-9][a-z0-9._-]{0,62}$")]
    pub model: Option<String>,
    /// Whether somebody waits for the result.
    #[serde(default, deserialize_with = "crate::text_enum::asked")]
    #[schema(schema_with = Class::known_schema)]
    pub class: Class,
    /// Address, http or https, to which the outcome is posted, signed with the secret of `GET /v1/webhooks/secret`.
    #[serde(default)]
    #[schema(max_length = 2048, example = "https://example.com/hooks/limekiln")]
    pub webhook: Option<Url>,
    /// How often the edit may fail, or lose its worker, without progress before it fails for good. 3 by default. More than the
    /// tenant may ask for is taken as what it may. Where the engine hangs, it fails the second time.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10, example = 3)]
    pub max_attempts: Option<u16>,
}
