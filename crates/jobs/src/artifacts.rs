//! What an edit leaves behind.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Kinds of artifacts; an edit has at most one of each.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// The edited picture.
    Result,
    /// The region of interest: white is what may change.
    Roi,
    /// The segments, one color each.
    Segments,
    /// The attention map of the related words.
    Attention,
    /// The picture with the region marked.
    Overlay,
    /// What the engine did, as JSON.
    Report,
}

/// The text names no kind of artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an artifact is one of result, roi, segments, attention, overlay, report")]
pub struct UnknownArtifact;

impl ArtifactKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Result,
        Self::Roi,
        Self::Segments,
        Self::Attention,
        Self::Overlay,
        Self::Report,
    ];

    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Roi => "roi",
            Self::Segments => "segments",
            Self::Attention => "attention",
            Self::Overlay => "overlay",
            Self::Report => "report",
        }
    }

    /// The name of its file.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Result => "result.png",
            Self::Roi => "roi.png",
            Self::Segments => "segments.png",
            Self::Attention => "attention.png",
            Self::Overlay => "overlay.png",
            Self::Report => "report.json",
        }
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Report => "application/json",
            _ => "image/png",
        }
    }
}

crate::spelled::spelled!(ArtifactKind, UnknownArtifact);

/// An artifact as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactView {
    /// What it is.
    pub kind: ArtifactKind,
    /// Its media type.
    #[schema(example = "image/png")]
    pub media_type: String,
    /// Its length, in bytes.
    #[schema(example = 412_307)]
    pub bytes: u64,
    /// BLAKE3 of its bytes.
    pub digest: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_back_and_json_agrees() {
        for kind in ArtifactKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert!(kind.file_name().starts_with(kind.as_str()));
        }
        assert_eq!("mask".parse::<ArtifactKind>(), Err(UnknownArtifact));
    }
}
