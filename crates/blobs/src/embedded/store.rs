//! s3s-fs for buckets, uploads in parts and ranges; whole objects, deletions and listings are ours (`objects`, `list`).

use std::{path::Path, sync::Arc, time::UNIX_EPOCH};

use bytes::Bytes;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, dto::*, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::Semaphore;
use tokio_util::io::ReaderStream;

use super::{
    checked, list,
    objects::{Content, Objects},
    uploads,
};

/// The most objects of one listing.
const LIST_MAX: i32 = 1_000;

/// An object up to this is read in one go, in bytes.
const WHOLE_MAX: u64 = 1 << 20;

/// A longer one comes in pieces of this, in bytes.
const PIECE: usize = 256 << 10;

/// Threads at the files at once.
const TURNS: usize = 4;

#[derive(Debug)]
pub(super) struct Store {
    files: FileSystem,
    objects: Arc<Objects>,
    /// Turns at the files: more threads at once only spin on the directories' locks.
    turns: Semaphore,
}

impl Store {
    pub(super) fn open(root: &Path) -> Result<Self, s3s_fs::Error> {
        Ok(Self {
            files: FileSystem::new(root)?,
            objects: Arc::new(Objects::new(root)),
            turns: Semaphore::new(TURNS),
        })
    }

    /// A bucket is a directory; s3s has checked its name.
    fn bucket(&self, bucket: &str) -> S3Result<std::path::PathBuf> {
        let path = self.objects.root().join(bucket);
        if path.is_dir() {
            Ok(path)
        } else {
            Err(s3_error!(NoSuchBucket))
        }
    }

    /// Why there is no such object.
    fn missing(&self, bucket: &str) -> S3Error {
        self.bucket(bucket)
            .err()
            .unwrap_or_else(|| s3_error!(NoSuchKey))
    }

    /// File work off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> S3Result<T> {
        let _turn = self
            .turns
            .acquire()
            .await
            .map_err(|error| s3_error!(error, InternalError))?;
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(|error| s3_error!(error, InternalError)),
            Err(error) => Err(s3_error!(error, InternalError)),
        }
    }
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.files.create_bucket(req).await
    }

    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files.head_bucket(req).await
    }

    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = req.input;
        segments_check(&input.key)?;
        self.bucket(&input.bucket)?;
        if input.if_match.is_some() || input.if_none_match.is_some() {
            return Err(s3_error!(NotImplemented, "conditional puts"));
        }
        let body = checked::collect(input.body.take(), input.content_length).await?;
        checked::check(&input, req.trailing_headers.as_ref(), &body)?;
        let objects = Arc::clone(&self.objects);
        let metadata = self
            .blocking(move || {
                objects.write(
                    &input.bucket,
                    &input.key,
                    input.content_type.as_deref(),
                    &body,
                )
            })
            .await?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(e_tag(&metadata)),
            ..PutObjectOutput::default()
        }))
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        segments_check(&req.input.key)?;
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        let (disposition, media_type) = (
            req.input.response_content_disposition.clone(),
            req.input.response_content_type.clone(),
        );
        if req.input.range.is_some() {
            return self.files.get_object(req).await;
        }
        let objects = Arc::clone(&self.objects);
        let opened = self
            .blocking(move || objects.open(&bucket, &key, Some(WHOLE_MAX)))
            .await?;
        let opened = opened.ok_or_else(|| self.missing(&req.input.bucket))?;
        let body = match opened.content {
            Content::Whole(body) => StreamingBlob::from(s3s::Body::from(body)),
            Content::File(file) => StreamingBlob::wrap(ReaderStream::with_capacity(
                tokio::fs::File::from_std(file),
                PIECE,
            )),
            Content::Unread => StreamingBlob::from(s3s::Body::from(Bytes::new())),
        };
        Ok(S3Response::new(GetObjectOutput {
            body: Some(body),
            content_length: i64::try_from(opened.metadata.len()).ok(),
            content_type: Some(media_type.unwrap_or(opened.media_type)),
            content_disposition: disposition,
            last_modified: opened.metadata.modified().ok().map(Timestamp::from),
            e_tag: Some(e_tag(&opened.metadata)),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        segments_check(&req.input.key)?;
        let (bucket, key) = (req.input.bucket.clone(), req.input.key);
        let objects = Arc::clone(&self.objects);
        let opened = self
            .blocking(move || objects.open(&bucket, &key, None))
            .await?;
        let opened = opened.ok_or_else(|| self.missing(&req.input.bucket))?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(opened.metadata.len()).ok(),
            content_type: Some(opened.media_type),
            last_modified: opened.metadata.modified().ok().map(Timestamp::from),
            e_tag: Some(e_tag(&opened.metadata)),
            ..HeadObjectOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let DeleteObjectInput { bucket, key, .. } = req.input;
        segments_check(&key)?;
        self.bucket(&bucket)?;
        let objects = Arc::clone(&self.objects);
        self.blocking(move || objects.remove(&bucket, &key)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete, .. } = req.input;
        self.bucket(&bucket)?;
        let keys: Vec<String> = delete
            .objects
            .into_iter()
            .map(|object| object.key)
            .collect();
        keys.iter().try_for_each(|key| segments_check(key))?;
        let objects = Arc::clone(&self.objects);
        let deleted = self
            .blocking(move || {
                keys.iter()
                    .try_for_each(|key| objects.remove(&bucket, key))?;
                Ok(keys)
            })
            .await?;
        let said = deleted.into_iter().map(|key| DeletedObject {
            key: Some(key),
            ..DeletedObject::default()
        });
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (delete.quiet != Some(true)).then(|| said.collect()),
            ..DeleteObjectsOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        if input.delimiter.is_some() {
            return Err(s3_error!(NotImplemented, "listings with a delimiter"));
        }
        let bucket = self.bucket(&input.bucket)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input
            .continuation_token
            .clone()
            .max(input.start_after.clone())
            .unwrap_or_default();
        let limit = input.max_keys.unwrap_or(LIST_MAX).clamp(0, LIST_MAX);
        let (found, more) = self
            .blocking(move || list::list(&bucket, &prefix, &after, limit.unsigned_abs() as usize))
            .await?;
        let output = ListObjectsV2Output {
            key_count: Some(i32::try_from(found.len()).unwrap_or(LIST_MAX)),
            max_keys: Some(limit),
            is_truncated: Some(more),
            next_continuation_token: found.last().filter(|_| more).map(|entry| entry.key.clone()),
            contents: Some(
                found
                    .into_iter()
                    .map(|entry| Object {
                        key: Some(entry.key),
                        size: i64::try_from(entry.bytes).ok(),
                        last_modified: entry.modified.map(Timestamp::from),
                        ..Object::default()
                    })
                    .collect(),
            ),
            name: Some(input.bucket),
            prefix: input.prefix,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            ..ListObjectsV2Output::default()
        };
        Ok(S3Response::new(output))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        segments_check(&req.input.key)?;
        self.bucket(&req.input.bucket)?;
        self.files.create_multipart_upload(req).await
    }

    async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        segments_check(&req.input.key)?;
        self.bucket(&req.input.bucket)?;
        self.files.upload_part(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        segments_check(&req.input.key)?;
        self.bucket(&req.input.bucket)?;
        self.files.complete_multipart_upload(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        segments_check(&req.input.key)?;
        self.bucket(&req.input.bucket)?;
        self.files.abort_multipart_upload(req).await
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        self.bucket(&input.bucket)?;
        let (objects, bucket) = (Arc::clone(&self.objects), input.bucket.clone());
        let prefix = input.prefix.clone().unwrap_or_default();
        let limit = input.max_uploads.unwrap_or(LIST_MAX).clamp(0, LIST_MAX);
        let found = self
            .blocking(move || {
                uploads::begun(
                    objects.root(),
                    &bucket,
                    &prefix,
                    limit.unsigned_abs() as usize,
                )
            })
            .await?;
        let output = ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix,
            max_uploads: Some(limit),
            is_truncated: Some(found.len() == limit.unsigned_abs() as usize),
            uploads: Some(
                found
                    .into_iter()
                    .map(|upload| MultipartUpload {
                        key: Some(upload.key),
                        upload_id: Some(upload.id),
                        initiated: Some(Timestamp::from(upload.initiated)),
                        ..MultipartUpload::default()
                    })
                    .collect(),
            ),
            ..ListMultipartUploadsOutput::default()
        };
        Ok(S3Response::new(output))
    }
}

/// A key is not a path: no segment may lead elsewhere.
fn segments_check(key: &str) -> S3Result<()> {
    let odd = |segment: &str| {
        segment.is_empty() || segment.starts_with('.') || segment.contains(['\0', '\\'])
    };
    if key.split('/').any(odd) {
        return Err(s3_error!(InvalidArgument, "not a key here"));
    }
    Ok(())
}

/// As file servers do: another file has another time or length.
fn e_tag(metadata: &std::fs::Metadata) -> ETag {
    let modified = metadata
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    ETag::Strong(format!(
        "{:x}-{:x}",
        modified.unwrap_or_default().as_nanos(),
        metadata.len()
    ))
}
