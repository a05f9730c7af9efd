use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures_util::{StreamExt, TryStreamExt, stream};
use time::OffsetDateTime;

use super::{
    client::S3,
    get::{length, timestamp},
};
use crate::{Error, Result, listing::Found};

/// Single deletions at once, on servers that take no batch.
const DELETES_AT_ONCE: usize = 8;

impl S3 {
    /// Up to `limit` blobs whose names start with `prefix` and come after `after`; and whether there are more.
    pub(crate) async fn list(
        &self,
        prefix: &str,
        after: Option<String>,
        limit: u16,
    ) -> Result<(Vec<Found>, bool)> {
        let listed = self
            .client
            .list_objects_v2()
            .bucket(&self.settings.bucket)
            .prefix(prefix)
            .set_start_after(after)
            .max_keys(i32::from(limit))
            .send()
            .await
            .map_err(|error| self.fault("list blobs", None, error))?;
        let more = listed.is_truncated == Some(true);
        let found = listed.contents.unwrap_or_default().into_iter();
        let found = found.filter_map(|object| {
            Some(Found {
                name: object.key?,
                bytes: length(object.size),
                modified: object.last_modified.and_then(timestamp),
            })
        });
        Ok((found.collect(), more))
    }

    /// Deletes blobs; those that are gone already are no error.
    pub(crate) async fn delete(&self, names: Vec<String>) -> Result<()> {
        match self.delete_batch(&names).await {
            // Some servers want an MD5 where the SDK sends a newer checksum, or know no batches at all.
            Err(Error::Other { message, .. }) => {
                tracing::debug!(message, "deleting blobs one by one");
                self.delete_singly(names).await
            }
            done => done,
        }
    }

    async fn delete_batch(&self, names: &[String]) -> Result<()> {
        let unbuilt = |error: aws_sdk_s3::error::BuildError| Error::Other {
            operation: "delete blobs",
            message: error.to_string(),
        };
        let objects = names
            .iter()
            .map(|name| {
                ObjectIdentifier::builder()
                    .key(name)
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
        let refused = done
            .errors()
            .iter()
            .find(|error| error.code() != Some("NoSuchKey"));
        match refused {
            None => Ok(()),
            Some(refused) => Err(self.refusal(
                "delete blobs",
                refused.key(),
                if refused.code() == Some("AccessDenied") {
                    403
                } else {
                    500
                },
                refused.code().unwrap_or_default(),
                format!(
                    "{} on `{}`, {} of {} kept",
                    refused.code().unwrap_or("an error"),
                    refused.key().unwrap_or_default(),
                    done.errors().len(),
                    names.len()
                ),
            )),
        }
    }

    async fn delete_singly(&self, names: Vec<String>) -> Result<()> {
        stream::iter(names)
            .map(|name| async move {
                let done = self
                    .client
                    .delete_object()
                    .bucket(&self.settings.bucket)
                    .key(&name)
                    .send()
                    .await;
                match done.map_err(|error| self.fault("delete a blob", Some(&name), error)) {
                    Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(DELETES_AT_ONCE)
            .try_collect()
            .await
    }

    /// Aborts uploads in parts that began before `before` and were never finished; returns how many.
    pub(crate) async fn uploads_abort(
        &self,
        prefix: &str,
        before: OffsetDateTime,
        limit: u16,
    ) -> Result<u64> {
        let listed = self
            .client
            .list_multipart_uploads()
            .bucket(&self.settings.bucket)
            .prefix(prefix)
            .max_uploads(i32::from(limit))
            .send()
            .await
            .map_err(|error| self.fault("list uploads", None, error))?;
        let mut aborted = 0;
        for upload in listed.uploads() {
            let old = upload
                .initiated()
                .copied()
                .and_then(timestamp)
                .is_some_and(|at| at < before);
            if let (true, Some(key), Some(id)) = (old, upload.key(), upload.upload_id()) {
                self.upload_abort(key, id).await?;
                aborted += 1;
            }
        }
        Ok(aborted)
    }
}
