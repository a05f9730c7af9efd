//! What can be known of a picture.

use serde::{Deserialize, Serialize};

/// What can be known of a picture before it is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The picture's latents.
    Latents,
    /// Its segments.
    Segments,
    /// The map of where the instruction acts. Kept with the region.
    Map,
    /// The region.
    Region,
    /// What the decoder makes of the picture's own latents.
    Decoded,
    /// The mattes and materials of the object that is recolored in the full-size picture.
    Matte,
}

impl Kind {
    /// Those that are kept by themselves.
    pub const KEPT: [Self; 5] = [
        Self::Latents,
        Self::Segments,
        Self::Region,
        Self::Decoded,
        Self::Matte,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latents => "latents",
            Self::Segments => "segments",
            Self::Map => "map",
            Self::Region => "region",
            Self::Decoded => "decoded",
            Self::Matte => "matte",
        }
    }
}
