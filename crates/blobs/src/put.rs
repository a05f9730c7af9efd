use bytes::Bytes;
use limekiln_jobs::Digest;

use crate::{Blobs, Key, Result};

/// What was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// BLAKE3 of the bytes.
    pub digest: Digest,
    /// How many there are.
    pub bytes: u64,
}

impl Blobs {
    /// Stores the blob whole or not at all; in parts above 8 MiB.
    pub async fn put(&self, key: &Key, body: Bytes, media_type: &str) -> Result<Stored> {
        let digest = Digest::of(&body);
        self.put_digested(key, body, digest, media_type).await
    }

    /// As [`Blobs::put`], for who has hashed the bytes already (a [`Key::image`] needs the digest first).
    pub async fn put_digested(
        &self,
        _key: &Key,
        _body: Bytes,
        _digest: Digest,
        _media_type: &str,
    ) -> Result<Stored> {
        todo!()
    }
}
