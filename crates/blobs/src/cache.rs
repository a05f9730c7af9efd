use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use limekiln_jobs::Digest;

use crate::{Blobs, Key, Result};

/// Blobs on local disk, by their content. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cache {
    inner: Arc<PathBuf>,
}

/// A cached file that stays while this lives.
#[derive(Debug)]
pub struct Pinned {
    path: PathBuf,
}

impl Pinned {
    /// Where it is. Read only.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What a cache did since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Asked for and there.
    pub hits: u64,
    /// Asked for and not there, or damaged.
    pub misses: u64,
    /// Put out for want of room.
    pub evicted: u64,
    /// Files now.
    pub files: u64,
    /// Bytes now.
    pub bytes: u64,
}

impl Cache {
    /// The cache in `dir` (created), holding at most `limit_bytes`. Takes over what an earlier process left there.
    pub async fn open(_dir: &Path, _limit_bytes: u64) -> Result<Self> {
        todo!()
    }

    /// The blob with this content, verified; none when it is not there or damaged (then it is removed).
    pub async fn get(&self, _digest: &Digest) -> Result<Option<Bytes>> {
        todo!()
    }

    /// Keeps a blob. `digest` must be the bytes' own.
    pub async fn put(&self, _digest: &Digest, _body: Bytes) -> Result<()> {
        todo!()
    }

    /// The blob from here or from S3, and then kept here. Many asking at once make one request.
    pub async fn fetch(
        &self,
        _blobs: &Blobs,
        _key: &Key,
        _digest: &Digest,
        _limit_bytes: u64,
    ) -> Result<Bytes> {
        todo!()
    }

    /// As [`Cache::fetch`] for weights: streamed to a file, which stays while the answer lives.
    pub async fn fetch_file(
        &self,
        _blobs: &Blobs,
        _key: &Key,
        _digest: &Digest,
        _limit_bytes: u64,
    ) -> Result<Pinned> {
        todo!()
    }

    /// What it did and holds.
    pub fn counts(&self) -> Counts {
        let _ = &self.inner;
        todo!()
    }
}
