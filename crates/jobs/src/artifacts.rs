//! Files that an edit leaves behind.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

crate::text_enum::open_text_enum! {
    /// Kind of an artifact. An edit has at most one of each kind.
    pub enum ArtifactKind, "an artifact" {
        /// The edited picture.
        Result = "result",
        /// The region of interest: what may change is white.
        Roi = "roi",
        /// The segments, one color each.
        Segments = "segments",
        /// The attention map of the words that name what is edited.
        Attention = "attention",
        /// The picture with the region marked.
        Overlay = "overlay",
        /// Which pixels of the result are the input's own: 0; the others fade up to 255, the edit itself. An edit that was laid
        /// over its input has one.
        Matte = "matte",
        /// What a turn of a session changed of the picture that it builds on, with its matte, in place of the whole result.
        Patch = "patch",
        /// The segments of a picture that were asked for, by number: a cell of the grid is a pixel of 16 bits.
        Labels = "labels",
        /// The same as a list, as JSON.
        Parts = "parts",
        /// What the engine did, as JSON.
        Report = "report",
    }
}

impl ArtifactKind {
    /// Name of the file that it is saved as. A kind that this version does not know has none of its own.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Result => "result.png",
            Self::Roi => "roi.png",
            Self::Segments => "segments.png",
            Self::Attention => "attention.png",
            Self::Overlay => "overlay.png",
            Self::Matte => "matte.png",
            Self::Patch => "patch.png",
            Self::Labels => "labels.png",
            Self::Parts => "parts.json",
            Self::Report => "report.json",
            Self::Other(_) => "artifact.bin",
        }
    }

    /// Media type of its bytes.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Report | Self::Parts => "application/json",
            Self::Other(_) => "application/octet-stream",
            _ => "image/png",
        }
    }
}

/// A file that an edit left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactView {
    /// Kind of the artifact.
    pub kind: ArtifactKind,
    /// Media type of the file.
    #[schema(example = "image/png")]
    pub media_type: String,
    /// Length of the file in bytes.
    #[schema(example = 412_307)]
    pub bytes: u64,
    /// BLAKE3 digest of the file.
    pub digest: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_their_kind() {
        for kind in ArtifactKind::ALL {
            assert!(kind.file_name().starts_with(kind.as_str()));
        }
    }
}
