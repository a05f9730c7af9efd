//! The one handle, on either half.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use limekiln_jobs::{Digest, ErrorKind, Retryable, retry::Policy};
use time::OffsetDateTime;
use url::Url;

use crate::{
    Download, Error, Head, Key, Listed, Page, Prefix, Result, Settings, SteadyDownload, Timeouts,
    download::digest_of,
    folder::{Folder, Fsync},
    listing::PAGE_MAX,
    metered::metered,
    s3::S3,
    settings::{ATTEMPTS, bucket_check, prefix_check},
};

/// Delays before a body that came cut short or damaged is asked for again.
const RETRY: Policy = Policy::new(Duration::from_millis(200), Duration::from_millis(3200));

/// The bucket. Cheap to clone; all clones share their connections.
#[derive(Debug, Clone)]
pub struct Blobs {
    half: Half,
    /// Put before every key; empty, or ending with a slash.
    prefix: Arc<str>,
    /// How long an operation may take, all its tries included.
    patience: Duration,
    /// Tries of a whole read, the first included.
    attempts: u32,
}

#[derive(Debug, Clone)]
enum Half {
    S3(S3),
    Folder(Folder),
}

/// A URL from which anybody may get what lies under `key`, whatever that is, in a bucket of others for `ttl` (at most a week). No
/// request is made.
pub async fn presign_elsewhere(settings: &Settings, key: &str, ttl: Duration) -> Result<Url> {
    settings.check()?;
    S3::new(settings).await.presign(key, ttl, None).await
}

/// What was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// BLAKE3 of the bytes.
    pub digest: Digest,
    /// How many there are.
    pub bytes: u64,
}

impl Blobs {
    /// A client of an S3 server. Reads credentials; asks the server nothing.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            half: Half::S3(S3::new(settings).await),
            prefix: Arc::default(),
            patience: settings.timeouts.operation,
            attempts: settings.attempts,
        }
        .prefixed_unchecked(&settings.prefix))
    }

    /// Blobs as files in `dir` (created), which one process at a time may have open. What a killed process was writing
    /// is removed.
    pub async fn folder(dir: &Path, bucket: &str, fsync: Fsync) -> Result<Self> {
        bucket_check(bucket)?;
        let folder = Folder::open(dir, bucket, fsync)?;
        folder.leftovers_remove(SystemTime::now(), u16::MAX).await?;
        Ok(Self {
            half: Half::Folder(folder),
            prefix: Arc::default(),
            patience: Timeouts::default().operation,
            attempts: ATTEMPTS,
        })
    }

    /// The same store and credentials, another bucket, no prefix: where model weights may lie.
    pub fn bucket(&self, bucket: &str) -> Result<Self> {
        bucket_check(bucket)?;
        let half = match &self.half {
            Half::S3(s3) => Half::S3(s3.bucket(bucket)),
            Half::Folder(folder) => Half::Folder(folder.bucket(bucket)),
        };
        Ok(Self {
            half,
            prefix: Arc::default(),
            ..self.clone()
        })
    }

    /// The same bucket with another prefix before every key, such as `staging`; empty for none.
    pub fn prefixed(&self, prefix: &str) -> Result<Self> {
        prefix_check(prefix)?;
        Ok(self.clone().prefixed_unchecked(prefix))
    }

    fn prefixed_unchecked(mut self, prefix: &str) -> Self {
        self.prefix = match prefix {
            "" => Arc::default(),
            prefix => format!("{prefix}/").into(),
        };
        self
    }

    /// Creates the bucket unless it is there.
    pub async fn bucket_ensure(&self) -> Result<()> {
        let work = async {
            match &self.half {
                Half::S3(s3) => s3.bucket_ensure().await,
                Half::Folder(folder) => folder.bucket_ensure().await,
            }
        };
        metered("create the bucket", self.patience, work).await
    }

    /// Whether the bucket is there and may be asked.
    pub(crate) async fn bucket_head(&self) -> Result<()> {
        match &self.half {
            Half::S3(s3) => s3.bucket_head().await,
            Half::Folder(folder) => folder.bucket_head().await,
        }
    }

    /// Store, bucket and prefix in words, for a report.
    pub fn target(&self) -> String {
        let store = match &self.half {
            Half::S3(s3) => s3.target(),
            Half::Folder(folder) => folder.target(),
        };
        match &*self.prefix {
            "" => store,
            prefix => format!("{store}, under `{prefix}`"),
        }
    }

    /// Stores the blob whole or not at all.
    pub async fn put(&self, key: &Key, body: Bytes, media_type: &str) -> Result<Stored> {
        let digest = digest_of(&body).await?;
        self.put_digested(key, body, digest, media_type).await
    }

    /// As [`Blobs::put`], for who has hashed the bytes already (a [`Key::image`] needs the digest first).
    pub async fn put_digested(
        &self,
        key: &Key,
        body: Bytes,
        digest: Digest,
        media_type: &str,
    ) -> Result<Stored> {
        let (bytes, name) = (body.len() as u64, self.name(key));
        match &self.half {
            // Its requests have a deadline each; the whole has none, for many parts may take long.
            Half::S3(s3) => s3.put(&name, body, media_type).await?,
            Half::Folder(folder) => {
                let put = folder.put(&name, body, media_type);
                metered("put a blob", self.patience, put).await?;
            }
        }
        metrics::counter!("limekiln_blob_written_bytes_total").increment(bytes);
        Ok(Stored { digest, bytes })
    }

    /// Stores the blob unless there is one of this key; whether it was stored. Of puts at the same time one stores, but on a
    /// server that knows no conditional puts: read back what matters.
    pub async fn put_new(&self, key: &Key, body: Bytes, media_type: &str) -> Result<bool> {
        let name = self.name(key);
        let work = async {
            match &self.half {
                Half::S3(s3) => s3.put_new(&name, body, media_type).await,
                Half::Folder(folder) => folder.put_new(&name, body, media_type).await,
            }
        };
        metered("put a new blob", self.patience, work).await
    }

    /// The whole blob, at most `limit_bytes` of it, checked against `expect` when given.
    pub async fn get(&self, key: &Key, expect: Option<&Digest>, limit_bytes: u64) -> Result<Bytes> {
        metered("get a blob", self.patience, async {
            let mut backoff = RETRY.tries(self.attempts).start();
            loop {
                // The SDK tries again until a body begins; one cut short or damaged on its way is ours to ask for again.
                let download = self.open(key, 0).await?;
                match download.whole(expect, limit_bytes).await {
                    Err(error)
                        if matches!(error.kind(), ErrorKind::Transient | ErrorKind::Corrupt) =>
                    {
                        let Some(delay) = backoff.next() else {
                            return Err(error);
                        };
                        tracing::debug!(%key, %error, "getting the blob again");
                        tokio::time::sleep(delay).await;
                    }
                    done => return done,
                }
            }
        })
        .await
    }

    /// The blob piece by piece, for passing on.
    pub async fn download(&self, key: &Key) -> Result<Download> {
        metered("open a blob", self.patience, self.open(key, 0)).await
    }

    /// The same of one so large that its connection may break on the way: it goes on from there.
    pub fn download_steadily(&self, key: &Key) -> SteadyDownload {
        SteadyDownload::new(self.clone(), key.clone())
    }

    /// The blob behind its first `from` bytes; `head` is all of it.
    pub(crate) async fn open(&self, key: &Key, from: u64) -> Result<Download> {
        let name = self.name(key);
        match &self.half {
            Half::S3(s3) => s3.open(&name, from).await,
            Half::Folder(folder) => folder.download(&name, from).await,
        }
    }

    /// Length, media type and time of the blob; none when there is none.
    pub async fn head(&self, key: &Key) -> Result<Option<Head>> {
        let name = self.name(key);
        let work = async {
            let head = match &self.half {
                Half::S3(s3) => s3.head(&name).await,
                Half::Folder(folder) => folder.head(&name).await,
            };
            match head {
                Ok(head) => Ok(Some(head)),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        metered("look up a blob", self.patience, work).await
    }

    /// Whether there is such a blob.
    pub async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.head(key).await?.is_some())
    }

    /// A URL from which anybody may get the blob for `ttl` (at most a week), against the public endpoint, saved as
    /// `file_name` when given; none from a folder, which nobody can reach from outside. No request is made.
    pub async fn presign(
        &self,
        key: &Key,
        ttl: Duration,
        file_name: Option<&str>,
    ) -> Result<Option<Url>> {
        match &self.half {
            Half::S3(s3) => Ok(Some(s3.presign(&self.name(key), ttl, file_name).await?)),
            Half::Folder(_) => Ok(None),
        }
    }

    /// Whether a bucket on the S3 server at `endpoint` (none: Amazon's) is this one.
    pub fn is_bucket(&self, endpoint: Option<&Url>, bucket: &str) -> bool {
        match &self.half {
            Half::S3(s3) => s3.is_bucket(endpoint, bucket),
            Half::Folder(_) => false,
        }
    }

    /// Up to `limit` (at most 1,000) blobs under the prefix, after the key `after`. Keys that are not ours are left out,
    /// so that a page may be shorter, or empty, with more to come.
    pub async fn list(&self, prefix: &Prefix, after: Option<&str>, limit: u16) -> Result<Page> {
        let limit = limit.clamp(1, PAGE_MAX);
        let start = format!("{}{prefix}", self.prefix);
        let after = after.map(|after| format!("{}{after}", self.prefix));
        let work = async {
            match &self.half {
                Half::S3(s3) => s3.list(&start, after, limit).await,
                Half::Folder(folder) => folder.list(&start, after, limit).await,
            }
        };
        let (found, more) = metered("list blobs", self.patience, work).await?;
        let (mut blobs, mut next) = (Vec::with_capacity(found.len()), None);
        for found in found {
            let Some(key) = found.name.strip_prefix(&*self.prefix) else {
                continue;
            };
            next = Some(key.to_owned());
            match key.parse() {
                Ok(key) => blobs.push(Listed {
                    key,
                    bytes: found.bytes,
                    modified: found.modified,
                }),
                Err(error) => tracing::debug!(%error, "left out of a listing"),
            }
        }
        let next = next.filter(|_| more);
        Ok(Page { blobs, next })
    }

    /// Deletes blobs, 1,000 a request; those that are gone already are no error.
    pub async fn delete(&self, keys: &[Key]) -> Result<()> {
        for some in keys.chunks(usize::from(PAGE_MAX)) {
            let names = some.iter().map(|key| self.name(key)).collect();
            let work = async {
                match &self.half {
                    Half::S3(s3) => s3.delete(names).await,
                    Half::Folder(folder) => folder.delete(names).await,
                }
            };
            metered("delete blobs", self.patience, work).await?;
        }
        Ok(())
    }

    /// Removes what puts under `prefix` that were never finished left behind (uploads in parts; in a folder temporary
    /// files, whatever they were to be) and that began before `before`; returns how many, at most `limit`.
    pub async fn uploads_abort(
        &self,
        prefix: &Prefix,
        before: OffsetDateTime,
        limit: u16,
    ) -> Result<u64> {
        let limit = limit.clamp(1, PAGE_MAX);
        let start = format!("{}{prefix}", self.prefix);
        let work = async {
            match &self.half {
                Half::S3(s3) => s3.uploads_abort(&start, before, limit).await,
                Half::Folder(folder) => folder.leftovers_remove(before.into(), limit).await,
            }
        };
        metered("abort uploads", self.patience, work).await
    }

    /// The key as the store knows it.
    fn name(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn prefixes_go_before_keys() {
        let mut settings = Settings::new(Some("http://127.0.0.1:9".parse().unwrap()), "kiln");
        settings.credentials = Some(crate::Credentials {
            access_key: "a".to_owned(),
            secret_key: "b".to_owned(),
        });
        settings.prefix = "staging/one".to_owned();
        let blobs = Blobs::connect(&settings).await.unwrap();
        let key: Key = "t/x".parse().unwrap();
        assert_eq!(blobs.name(&key), "staging/one/t/x");
        assert_eq!(blobs.prefixed("two").unwrap().name(&key), "two/t/x");
        assert_eq!(blobs.prefixed("").unwrap().name(&key), "t/x");
        assert!(blobs.prefixed("../two").is_err());
        // It would lie among the keys of the fleet that has no prefix, or has `one`.
        assert!(blobs.prefixed("t").is_err());
        assert!(blobs.prefixed("one/t/two").is_err());
        assert_eq!(blobs.bucket("other").unwrap().name(&key), "t/x");
        assert!(blobs.bucket("No Bucket").is_err());
    }
}
