use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use limekiln_jobs::Digest;
use time::OffsetDateTime;
use url::Url;

use crate::{Key, Result, Settings};

/// The bucket. Cheap to clone; all clones share their connections.
#[derive(Debug, Clone)]
pub struct Blobs {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
}

/// What a server says of a blob without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its media type, when the server kept one.
    pub media_type: Option<String>,
    /// When it was stored.
    pub modified: Option<OffsetDateTime>,
}

/// A blob on its way, piece by piece; not verified.
#[derive(Debug)]
pub struct Download {
    /// What the server says of it.
    pub head: Head,
}

impl Download {
    /// The next piece; none after the last. Errors: the connection, or fewer bytes than announced.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        todo!()
    }
}

impl Blobs {
    /// A client with these settings. Reads credentials; asks the server nothing.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            inner: Arc::new(Inner {
                settings: settings.clone(),
            }),
        })
    }

    /// The same server and credentials, another bucket, no prefix: where model weights may lie.
    pub fn bucket(&self, _bucket: &str) -> Result<Self> {
        todo!()
    }

    /// The whole blob, at most `limit_bytes` of it, checked against `expect` when given.
    pub async fn get(
        &self,
        _key: &Key,
        _expect: Option<&Digest>,
        _limit_bytes: u64,
    ) -> Result<Bytes> {
        todo!()
    }

    /// The blob piece by piece, for passing on.
    pub async fn download(&self, _key: &Key) -> Result<Download> {
        todo!()
    }

    /// What the server says of the blob; none when there is none.
    pub async fn head(&self, _key: &Key) -> Result<Option<Head>> {
        todo!()
    }

    /// Whether there is such a blob.
    pub async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.head(key).await?.is_some())
    }

    /// A URL from which anybody may get the blob for `ttl` (at most a week), against the public endpoint, saved as
    /// `file_name` when given. No request is made.
    pub async fn presign(
        &self,
        _key: &Key,
        _ttl: Duration,
        _file_name: Option<&str>,
    ) -> Result<Url> {
        todo!()
    }
}
