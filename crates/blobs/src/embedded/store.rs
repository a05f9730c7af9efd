//! s3s-fs, with what it lacks: sidecar files go with their objects, listings are cheap, keys are no paths, presigned
//! URLs may name the file, and uploads can be listed.

use std::path::{Path, PathBuf};

use s3s::{S3, S3Request, S3Response, S3Result, dto::*, s3_error};
use s3s_fs::FileSystem;

use super::{list, uploads};

/// The most objects of one listing.
const LIST_MAX: i32 = 1_000;

#[derive(Debug)]
pub(super) struct Store {
    files: FileSystem,
    root: PathBuf,
}

impl Store {
    pub(super) fn open(root: &Path) -> Result<Self, s3s_fs::Error> {
        Ok(Self {
            files: FileSystem::new(root)?,
            root: root.to_owned(),
        })
    }

    /// The bucket's directory.
    fn bucket(&self, bucket: &str) -> S3Result<PathBuf> {
        let path = self.root.join(bucket);
        if path.is_dir() {
            Ok(path)
        } else {
            Err(s3_error!(NoSuchBucket))
        }
    }

    /// A key is not a path: no segment may lead elsewhere, or to a directory.
    fn object(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        if key
            .split('/')
            .any(|segment| segment.is_empty() || segment.starts_with('.'))
            || key.contains(['\0', '\\'])
        {
            return Err(s3_error!(InvalidArgument, "not a key here"));
        }
        Ok(self.bucket(bucket)?.join(key))
    }

    /// As [`Store::object`], of one that is there.
    fn object_there(&self, bucket: &str, key: &str) -> S3Result<()> {
        if self.object(bucket, key)?.is_file() {
            Ok(())
        } else {
            Err(s3_error!(NoSuchKey))
        }
    }

    /// File work off the async threads.
    async fn blocking<T: Send + 'static>(
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> S3Result<T> {
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
        self.object(&req.input.bucket, &req.input.key)?;
        self.files.put_object(req).await
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        self.object_there(&req.input.bucket, &req.input.key)?;
        let disposition = req.input.response_content_disposition.clone();
        let media_type = req.input.response_content_type.clone();
        let mut got = self.files.get_object(req).await?;
        if disposition.is_some() {
            got.output.content_disposition = disposition;
        }
        if media_type.is_some() {
            got.output.content_type = media_type;
        }
        Ok(got)
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.object_there(&req.input.bucket, &req.input.key)?;
        self.files.head_object(req).await
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        self.object(&bucket, &key)?;
        let done = self.files.delete_object(req).await?;
        let root = self.root.clone();
        Self::blocking(move || uploads::traces_remove(&root, &bucket, &key)).await?;
        Ok(done)
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let bucket = req.input.bucket.clone();
        let quiet = req.input.delete.quiet == Some(true);
        let keys: Vec<String> = req
            .input
            .delete
            .objects
            .iter()
            .map(|object| object.key.clone())
            .collect();
        for key in &keys {
            self.object(&bucket, key)?;
        }
        let mut done = self.files.delete_objects(req).await?;
        let root = self.root.clone();
        Self::blocking(move || {
            keys.iter()
                .try_for_each(|key| uploads::traces_remove(&root, &bucket, key))
        })
        .await?;
        if quiet {
            done.output.deleted = None;
        }
        Ok(done)
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
        let (found, more) = Self::blocking(move || {
            list::list(&bucket, &prefix, &after, limit.unsigned_abs() as usize)
        })
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
        self.object(&req.input.bucket, &req.input.key)?;
        self.files.create_multipart_upload(req).await
    }

    async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.object(&req.input.bucket, &req.input.key)?;
        self.files.upload_part(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.object(&req.input.bucket, &req.input.key)?;
        self.files.complete_multipart_upload(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.object(&req.input.bucket, &req.input.key)?;
        self.files.abort_multipart_upload(req).await
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        self.bucket(&input.bucket)?;
        let (root, bucket) = (self.root.clone(), input.bucket.clone());
        let prefix = input.prefix.clone().unwrap_or_default();
        let limit = input.max_uploads.unwrap_or(LIST_MAX).clamp(0, LIST_MAX);
        let found = Self::blocking(move || {
            uploads::begun(&root, &bucket, &prefix, limit.unsigned_abs() as usize)
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
