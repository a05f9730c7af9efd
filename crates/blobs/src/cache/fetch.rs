//! From the cache, or from the bucket into the cache.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use bytes::Bytes;
use limekiln_jobs::{Digest, Retryable};
use tokio::io::AsyncWriteExt;

use super::{
    disk::{self, blocking, failed},
    index::{Cache, Inner, Pinned},
};
use crate::{Blobs, Error, Key, Result};

impl Cache {
    /// The blob from here, or from the bucket and then kept here. Many callers at once make one request.
    pub async fn fetch(
        &self,
        blobs: &Blobs,
        key: &Key,
        digest: &Digest,
        limit_bytes: u64,
    ) -> Result<Bytes> {
        if let Some(body) = self.lookup(digest).await? {
            return Ok(body);
        }
        let fetching = self.inner.fetching(digest);
        let _fetching = fetching.lock().await;
        // Who held the lock before has left the blob here.
        if let Some(body) = self.lookup(digest).await? {
            return Ok(body);
        }
        self.inner.index().miss();
        let body = blobs.get(key, Some(digest), limit_bytes).await?;
        // A full disk is no reason to fail an edit.
        if let Err(error) = self.put(digest, body.clone()).await {
            if error.is_disk_full() {
                metrics::counter!("limekiln_disk_full_total", "service" => "cache").increment(1);
                tracing::error!(%key, %error, "the disk of the cache is full, so nothing is kept: give it room, or lower --cache-mib");
            } else {
                tracing::warn!(%key, %error, "a blob could not be cached");
            }
        }
        Ok(body)
    }

    /// As [`Cache::fetch`] for weights: streamed to a file, which stays while the returned handle lives. Refuses what is
    /// larger than the whole cache.
    pub async fn fetch_file(
        &self,
        blobs: &Blobs,
        key: &Key,
        digest: &Digest,
        limit_bytes: u64,
    ) -> Result<Pinned> {
        let fetching = self.inner.fetching(digest);
        let _fetching = fetching.lock().await;
        let (inner, wanted) = (Arc::clone(&self.inner), *digest);
        // Pinned first: nothing may evict it between being found and being pinned.
        if let Some(pinned) = self.pin(digest)
            && blocking(move || inner.contains(&wanted)).await?
        {
            self.inner.index().hit();
            return Ok(pinned);
        }
        self.inner.index().miss();
        let limit_bytes = limit_bytes.min(self.inner.limit_bytes);
        let temporary = self.inner.dir.join(self.inner.temporary());
        let _removed = Removed(temporary.clone());
        let (bytes, written) = match stream(blobs, key, digest, limit_bytes, &temporary).await {
            Ok(bytes) => (bytes, Ok(())),
            Err(error) => (0, Err(error)),
        };
        let (inner, wanted) = (Arc::clone(&self.inner), *digest);
        blocking(move || inner.persist(&wanted, &temporary, bytes, 1, written)).await?;
        Ok(self.pinned(digest))
    }

    /// The blob if it is here, counted as a hit; a miss is counted when it is fetched.
    async fn lookup(&self, digest: &Digest) -> Result<Option<Bytes>> {
        if !self.inner.index().entries.contains_key(digest) && !self.inner.path(digest).exists() {
            return Ok(None);
        }
        let (inner, digest) = (Arc::clone(&self.inner), *digest);
        let found = blocking(move || inner.read(&digest)).await?;
        if found.is_some() {
            self.inner.index().hit();
        }
        Ok(found)
    }

    /// Pins an entry that is there.
    fn pin(&self, digest: &Digest) -> Option<Pinned> {
        self.inner.index().entries.get_mut(digest)?.pins += 1;
        Some(self.pinned(digest))
    }

    /// The handle of a pin that is counted already.
    fn pinned(&self, digest: &Digest) -> Pinned {
        Pinned {
            path: self.inner.path(digest),
            digest: *digest,
            cache: Arc::clone(&self.inner),
        }
    }
}

/// Removes a temporary file when dropped, unless it has moved to its place: also when its fetch is given up in the middle.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        if let Err(error) = disk::removed(&self.0) {
            tracing::debug!(%error, file = %self.0.display(), "a temporary file stays");
        }
    }
}

impl Inner {
    /// The lock of those who want this blob.
    fn fetching(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        // Locks that nobody holds or waits for are forgotten here.
        fetching.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(fetching.entry(*digest).or_default())
    }
}

/// Streams a blob into a new file and checks it; returns its length. After an error the caller removes the file.
async fn stream(
    blobs: &Blobs,
    key: &Key,
    digest: &Digest,
    limit_bytes: u64,
    path: &Path,
) -> Result<u64> {
    let mut download = blobs.download(key).await?;
    let too_large = || Error::TooLarge {
        key: key.to_string(),
        limit_bytes,
    };
    if download.head.bytes > limit_bytes {
        return Err(too_large());
    }
    let mut file = tokio::fs::File::create_new(path)
        .await
        .map_err(failed("create", path))?;
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
    while let Some(piece) = download.next().await.transpose()? {
        bytes += piece.len() as u64;
        if bytes > limit_bytes {
            return Err(too_large());
        }
        hasher.update(&piece);
        file.write_all(&piece)
            .await
            .map_err(failed("write", path))?;
    }
    file.flush().await.map_err(failed("write", path))?;
    let found = Digest::from(hasher.finalize());
    if found != *digest {
        return Err(Error::Corrupt {
            key: key.to_string(),
            expected: digest.to_string(),
            found: format!("{found} ({bytes} bytes)"),
        });
    }
    Ok(bytes)
}
