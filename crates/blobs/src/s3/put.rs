use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::client::S3;
use crate::{Error, Result, metered::metered};

/// A body above this goes in parts of this, in bytes. No server takes a part below 5 MiB.
const PART_BYTES: usize = 8 << 20;

/// Parts on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// S3's most parts of one blob.
const PARTS_MAX: usize = 10_000;

impl S3 {
    /// Stores the blob whole or not at all; in parts above 8 MiB.
    pub(crate) async fn put(&self, name: &str, body: Bytes, media_type: &str) -> Result<()> {
        if body.len() <= PART_BYTES {
            self.metered("put a blob", self.put_whole(name, body, media_type))
                .await
        } else {
            self.put_parts(name, &body, media_type).await
        }
    }

    /// Each request of an upload is counted, and has a deadline of its own.
    async fn metered<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        metered(operation, self.settings.timeouts.operation, work).await
    }

    async fn put_parts(&self, name: &str, body: &Bytes, media_type: &str) -> Result<()> {
        let part_bytes = PART_BYTES.max(body.len().div_ceil(PARTS_MAX));
        let begin = Upload::begin(self, name, media_type);
        let mut upload = self.metered("begin an upload", begin).await?;
        let id = upload.id.clone();
        let sent = stream::iter((0..body.len()).step_by(part_bytes).zip(1..))
            .map(|(start, number)| {
                let part = body.slice(start..body.len().min(start + part_bytes));
                self.metered("put a part", self.put_part(name, &id, number, part))
            })
            .buffered(PARTS_AT_ONCE)
            .try_collect::<Vec<_>>();
        let done = match sent.await {
            Ok(parts) => {
                let complete = self.put_complete(name, &id, parts);
                self.metered("complete an upload", complete).await
            }
            Err(error) => Err(error),
        };
        upload.open = false;
        if done.is_err() {
            abort(self, name, &id).await;
        }
        done
    }
}

/// An upload in parts that has begun. Dropped in the middle, it is aborted.
struct Upload {
    s3: S3,
    name: String,
    id: String,
    open: bool,
}

impl Upload {
    async fn begin(s3: &S3, name: &str, media_type: &str) -> Result<Self> {
        let begun = s3
            .client
            .create_multipart_upload()
            .bucket(&s3.settings.bucket)
            .key(name)
            .content_type(media_type)
            .send()
            .await
            .map_err(|error| s3.fault("begin an upload", None, error))?;
        let id = begun.upload_id.ok_or_else(|| Error::Other {
            operation: "begin an upload",
            message: "the server gave the upload no id".to_owned(),
        })?;
        Ok(Self {
            s3: s3.clone(),
            name: name.to_owned(),
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
        let (s3, name, id) = (
            self.s3.clone(),
            std::mem::take(&mut self.name),
            std::mem::take(&mut self.id),
        );
        // Without a runtime the process is ending; the sweep finds the upload.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { abort(&s3, &name, &id).await });
        }
    }
}

/// Gives up an upload. The sweep aborts what can't be aborted now.
async fn abort(s3: &S3, name: &str, upload: &str) {
    if let Err(error) = s3.upload_abort(name, upload).await {
        tracing::warn!(key = name, upload, %error, "an upload could not be aborted; the sweep will");
    }
}

impl S3 {
    /// Stores the blob unless there is one of this name; whether it was stored.
    pub(crate) async fn put_new(&self, name: &str, body: Bytes, media_type: &str) -> Result<bool> {
        let sent = self
            .client
            .put_object()
            .bucket(&self.settings.bucket)
            .key(name)
            .content_type(media_type)
            .if_none_match("*")
            .body(ByteStream::from(body.clone()))
            .send()
            .await;
        let Err(error) = sent else {
            return Ok(true);
        };
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        match status {
            Some(412) => Ok(false),
            // A server that has no conditional puts.
            Some(501) => match self.head(name).await {
                Ok(_) => Ok(false),
                Err(Error::NotFound { .. }) => {
                    self.put_whole(name, body, media_type).await?;
                    Ok(true)
                }
                Err(error) => Err(error),
            },
            _ => Err(self.fault("put a new blob", None, error)),
        }
    }

    async fn put_whole(&self, name: &str, body: Bytes, media_type: &str) -> Result<()> {
        self.client
            .put_object()
            .bucket(&self.settings.bucket)
            .key(name)
            .content_type(media_type)
            .body(ByteStream::from(body))
            .send()
            .await
            .map(drop)
            .map_err(|error| self.fault("put a blob", None, error))
    }

    async fn put_part(
        &self,
        name: &str,
        upload: &str,
        number: i32,
        part: Bytes,
    ) -> Result<CompletedPart> {
        let sent = self
            .client
            .upload_part()
            .bucket(&self.settings.bucket)
            .key(name)
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

    async fn put_complete(
        &self,
        name: &str,
        upload: &str,
        parts: Vec<CompletedPart>,
    ) -> Result<()> {
        self.client
            .complete_multipart_upload()
            .bucket(&self.settings.bucket)
            .key(name)
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

    pub(super) async fn upload_abort(&self, name: &str, upload: &str) -> Result<()> {
        self.client
            .abort_multipart_upload()
            .bucket(&self.settings.bucket)
            .key(name)
            .upload_id(upload)
            .send()
            .await
            .map(drop)
            .map_err(|error| self.fault("abort an upload", None, error))
    }
}
