//! What a fenced write says, and what a row says about a blob.

use limekiln_jobs::Digest;

/// What became of a write that names an edit and the epoch of its lease.
#[must_use = "a stale write changed nothing: the edit belongs to somebody else now"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Done. `seq` is the edit's newest event afterwards.
    Applied {
        /// Number of the edit's newest event.
        seq: u64,
    },
    /// The lease is gone: another epoch, or the edit ended. Nothing changed; stop working on it.
    Stale,
    /// There is no such edit.
    Missing,
}

impl Write {
    /// Whether the write was done.
    pub fn is_applied(self) -> bool {
        matches!(self, Self::Applied { .. })
    }
}

/// Where a blob is, and how to tell that it arrived whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRef {
    /// Key in the bucket.
    pub key: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// Media type, such as `image/png`.
    pub media_type: String,
}
