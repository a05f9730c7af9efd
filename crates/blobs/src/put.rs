use std::sync::Arc;

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use limekiln_jobs::Digest;

use crate::{Blobs, Error, Key, Result, client::Inner, get::digest_of};

/// A body above this goes in parts of this, in bytes. Below 5 MiB no server takes a part.
const PART_BYTES: usize = 8 << 20;

/// Parts on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// S3's most parts of one blob.
const PARTS_MAX: usize = 10_000;

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
        let bytes = body.len() as u64;
        if body.len() <= PART_BYTES {
            self.inner
                .timed("put a blob", self.inner.put_whole(key, body, media_type))
                .await?;
        } else {
            // Each request of it has its own deadline; the whole has none, for it may be long.
            self.put_parts(key, &body, media_type).await?;
        }
        metrics::counter!("limekiln_blob_written_bytes_total").increment(bytes);
        Ok(Stored { digest, bytes })
    }

    async fn put_parts(&self, key: &Key, body: &Bytes, media_type: &str) -> Result<()> {
        let inner = &self.inner;
        let part_bytes = PART_BYTES.max(body.len().div_ceil(PARTS_MAX));
        let mut upload = inner
            .timed("begin an upload", Upload::begin(inner, key, media_type))
            .await?;
        let id = upload.id.clone();
        let sent = stream::iter((0..body.len()).step_by(part_bytes).zip(1..))
            .map(|(start, number)| {
                let part = body.slice(start..body.len().min(start + part_bytes));
                inner.timed("put a part", inner.put_part(key, &id, number, part))
            })
            .buffered(PARTS_AT_ONCE)
            .try_collect::<Vec<_>>();
        let done = match sent.await {
            Ok(parts) => {
                inner
                    .timed("complete an upload", inner.put_complete(key, &id, parts))
                    .await
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => {
                upload.open = false;
                Ok(())
            }
            Err(error) => {
                upload.open = false;
                abort(inner, upload.full_key.clone(), id).await;
                Err(error)
            }
        }
    }
}

/// An upload in parts that has begun. Dropped in the middle, it is aborted.
struct Upload {
    inner: Arc<Inner>,
    full_key: String,
    id: String,
    open: bool,
}

impl Upload {
    async fn begin(inner: &Arc<Inner>, key: &Key, media_type: &str) -> Result<Self> {
        let full_key = inner.full(key);
        let begun = inner
            .client
            .create_multipart_upload()
            .bucket(&inner.settings.bucket)
            .key(&full_key)
            .content_type(media_type)
            .send()
            .await
            .map_err(|error| inner.fault("begin an upload", None, error))?;
        let id = begun.upload_id.ok_or_else(|| Error::Other {
            operation: "begin an upload",
            message: "the server gave the upload no id".to_owned(),
        })?;
        Ok(Self {
            inner: Arc::clone(inner),
            full_key,
            id,
            open: true,
        })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let (inner, key, id) = (
            Arc::clone(&self.inner),
            std::mem::take(&mut self.full_key),
            std::mem::take(&mut self.id),
        );
        // Without a runtime the process is ending; the sweep finds the upload.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { abort(&inner, key, id).await });
        }
    }
}

/// Gives up an upload. What can't be given up now is left to the sweep.
async fn abort(inner: &Inner, full_key: String, id: String) {
    if let Err(error) = inner.upload_abort(&full_key, &id).await {
        tracing::warn!(key = full_key, upload = id, %error, "an upload could not be aborted; the sweep will");
    }
}

impl Inner {
    async fn put_whole(&self, key: &Key, body: Bytes, media_type: &str) -> Result<()> {
        self.client
            .put_object()
            .bucket(&self.settings.bucket)
            .key(self.full(key))
            .content_type(media_type)
            .body(ByteStream::from(body))
            .send()
            .await
            .map(drop)
            .map_err(|error| self.fault("put a blob", None, error))
    }

    async fn put_part(
        &self,
        key: &Key,
        upload: &str,
        number: i32,
        part: Bytes,
    ) -> Result<CompletedPart> {
        let sent = self
            .client
            .upload_part()
            .bucket(&self.settings.bucket)
            .key(self.full(key))
            .upload_id(upload)
            .part_number(number)
            .body(ByteStream::from(part))
            .send()
            .await
            .map_err(|error| self.fault("put a part", None, error))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .build())
    }

    async fn put_complete(&self, key: &Key, upload: &str, parts: Vec<CompletedPart>) -> Result<()> {
        self.client
            .complete_multipart_upload()
            .bucket(&self.settings.bucket)
            .key(self.full(key))
            .upload_id(upload)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            )
            .send()
            .await
            .map(drop)
            .map_err(|error| self.fault("complete an upload", None, error))
    }

    pub(crate) async fn upload_abort(&self, full_key: &str, upload: &str) -> Result<()> {
        self.client
            .abort_multipart_upload()
            .bucket(&self.settings.bucket)
            .key(full_key)
            .upload_id(upload)
            .send()
            .await
            .map(drop)
            .map_err(|error| self.fault("abort an upload", None, error))
    }
}
