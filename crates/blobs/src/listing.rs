//! What a listing gives.

use time::OffsetDateTime;

use crate::Key;

/// The most blobs of one page, and of one deletion: S3's own bound.
pub(crate) const PAGE_MAX: u16 = 1_000;

/// One listed blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Key,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was stored.
    pub modified: Option<OffsetDateTime>,
}

/// Some of a listing, in the order of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What was found.
    pub blobs: Vec<Listed>,
    /// Where the next page starts (`after`); none at the end.
    pub next: Option<String>,
}

/// A blob as a half lists it: its name still has the handle's prefix, and may be none of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) modified: Option<OffsetDateTime>,
}
