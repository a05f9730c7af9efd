use std::time::Duration;

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures_util::{StreamExt, TryStreamExt, stream};
use time::OffsetDateTime;

use crate::{Blobs, Error, Key, Prefix, Result, client::Inner, get::moment};

/// S3's most keys of one listing or one deletion.
const KEYS_MAX: usize = 1_000;

/// Single deletions at once, on servers that take no batch.
const DELETES_AT_ONCE: usize = 8;

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
    /// Where to go on (`after`); none at the end.
    pub next: Option<String>,
}

impl Blobs {
    /// Up to `limit` (at most 1,000) blobs under the prefix, after the key `after`. Keys that are not ours are left out,
    /// so that a page may be shorter, or empty, with more to come.
    pub async fn list(&self, prefix: &Prefix, after: Option<&str>, limit: u16) -> Result<Page> {
        self.inner
            .timed("list blobs", self.inner.list(prefix, after, limit))
            .await
    }

    /// Deletes blobs, 1,000 a request; those that are gone already are no error.
    pub async fn delete(&self, keys: &[Key]) -> Result<()> {
        for some in keys.chunks(KEYS_MAX) {
            self.inner
                .timed("delete blobs", self.inner.delete(some))
                .await?;
        }
        Ok(())
    }

    /// Ends uploads in parts that began more than `age` ago and were never finished; says how many. At most `limit`.
    pub async fn uploads_abort(&self, age: Duration, limit: u16) -> Result<u64> {
        self.inner
            .timed("abort uploads", self.inner.uploads_abort(age, limit))
            .await
    }
}

impl Inner {
    async fn list(&self, prefix: &Prefix, after: Option<&str>, limit: u16) -> Result<Page> {
        let listed = self
            .client
            .list_objects_v2()
            .bucket(&self.settings.bucket)
            .prefix(self.full_text(prefix.as_str()))
            .set_start_after(after.map(|after| self.full_text(after)))
            .max_keys(i32::from(limit).clamp(1, KEYS_MAX as i32))
            .send()
            .await
            .map_err(|error| self.fault("list blobs", None, error))?;
        let more = listed.is_truncated == Some(true);
        let mut next = None;
        let mut blobs = Vec::with_capacity(listed.contents().len());
        for object in listed.contents() {
            let Some(key) = object.key().and_then(|full| self.ours(full)) else {
                continue;
            };
            next = Some(key.to_owned());
            match key.parse() {
                Ok(key) => blobs.push(Listed {
                    key,
                    bytes: object
                        .size()
                        .and_then(|bytes| bytes.try_into().ok())
                        .unwrap_or(0),
                    modified: object.last_modified().copied().and_then(moment),
                }),
                Err(error) => tracing::debug!(%error, "left out of a listing"),
            }
        }
        Ok(Page {
            blobs,
            next: next.filter(|_| more),
        })
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        match self.delete_batch(keys).await {
            // Some servers want an MD5 where the SDK sends a newer checksum, or know no batches at all.
            Err(Error::Other { message, .. }) => {
                tracing::debug!(message, "deleting blobs one by one");
                self.delete_singly(keys).await
            }
            done => done,
        }
    }

    async fn delete_batch(&self, keys: &[Key]) -> Result<()> {
        let unbuilt = |error: aws_sdk_s3::error::BuildError| Error::Other {
            operation: "delete blobs",
            message: error.to_string(),
        };
        let objects = keys
            .iter()
            .map(|key| {
                ObjectIdentifier::builder()
                    .key(self.full(key))
                    .build()
                    .map_err(unbuilt)
            })
            .collect::<Result<Vec<_>>>()?;
        let delete = Delete::builder()
            .set_objects(Some(objects))
            .quiet(true)
            .build()
            .map_err(unbuilt)?;
        let done = self
            .client
            .delete_objects()
            .bucket(&self.settings.bucket)
            .delete(delete)
            .send()
            .await
            .map_err(|error| self.fault("delete blobs", None, error))?;
        let kept = done
            .errors()
            .iter()
            .find(|error| error.code() != Some("NoSuchKey"));
        match kept {
            None => Ok(()),
            Some(kept) => Err(self.refusal(
                "delete blobs",
                kept.key(),
                if kept.code() == Some("AccessDenied") {
                    403
                } else {
                    500
                },
                kept.code().unwrap_or_default(),
                format!(
                    "{} on `{}`, {} of {} kept",
                    kept.code().unwrap_or("an error"),
                    kept.key().unwrap_or_default(),
                    done.errors().len(),
                    keys.len()
                ),
            )),
        }
    }

    async fn delete_singly(&self, keys: &[Key]) -> Result<()> {
        // Owned, or the future is not general enough to be spawned.
        stream::iter(keys.to_vec())
            .map(|key| async move {
                let done = self
                    .client
                    .delete_object()
                    .bucket(&self.settings.bucket)
                    .key(self.full(&key))
                    .send()
                    .await;
                match done.map_err(|error| self.fault("delete a blob", Some(key.as_str()), error)) {
                    Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(DELETES_AT_ONCE)
            .try_collect()
            .await
    }

    async fn uploads_abort(&self, age: Duration, limit: u16) -> Result<u64> {
        let before = OffsetDateTime::now_utc() - age;
        let listed = self
            .client
            .list_multipart_uploads()
            .bucket(&self.settings.bucket)
            .prefix(self.full_text(""))
            .max_uploads(i32::from(limit).clamp(1, KEYS_MAX as i32))
            .send()
            .await
            .map_err(|error| self.fault("list uploads", None, error))?;
        let mut aborted = 0;
        for upload in listed.uploads() {
            let old = upload
                .initiated()
                .copied()
                .and_then(moment)
                .is_some_and(|at| at < before);
            if let (true, Some(key), Some(id)) = (old, upload.key(), upload.upload_id()) {
                self.upload_abort(key, id).await?;
                aborted += 1;
            }
        }
        Ok(aborted)
    }
}
