//! As which file a result leaves.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// Header of a result's file: how many pixels outside the edit's matte coding it moved. Only where it was coded with loss, and
/// was laid over its input.
pub const PIXELS_MOVED: &str = "limekiln-pixels-moved";

/// As which file a result is sent. The same query gets the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResultQuery {
    /// Format of the file. Without it the file is a JPEG where the edited image was one and the result was laid over it, else a
    /// PNG. PNG and WebP are without loss, WebP unless `quality` says otherwise.
    #[param(pattern = "^(png|jpeg|webp)$", example = "jpeg")]
    pub format: Option<String>,
    /// Quality of a JPEG or WebP; a WebP has loss below 100. By default a JPEG keeps what it can of the JPEG that was edited, and
    /// else has 95.
    #[param(minimum = 1, maximum = 100, example = 85)]
    pub quality: Option<u32>,
    /// Longer side of the picture in pixels, at most. Nothing is enlarged.
    #[param(minimum = 1, maximum = 65535, example = 1024)]
    pub max_side: Option<u32>,
}
