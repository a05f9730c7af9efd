//! The S3 operations that the client uses, on a folder of blobs. Uploads in parts are kept in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use futures_util::stream;
use limekiln_blobs::{Blobs, Error, Key, Prefix};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, dto::*, s3_error};
use uuid::Uuid;

use super::checked;

/// The most blobs of one listing.
const LIST_MAX: i32 = 1_000;

#[derive(Debug)]
pub(super) struct Store {
    blobs: Blobs,
    uploads: Mutex<HashMap<String, Upload>>,
}

/// An upload in parts that has begun.
#[derive(Debug)]
struct Upload {
    bucket: String,
    key: String,
    media_type: Option<String>,
    initiated: SystemTime,
    parts: BTreeMap<i32, Bytes>,
}

impl Store {
    pub(super) fn new(blobs: Blobs) -> Self {
        Self {
            blobs,
            uploads: Mutex::default(),
        }
    }

    fn bucket(&self, bucket: &str) -> S3Result<Blobs> {
        self.blobs.bucket(bucket).map_err(refused)
    }

    /// The bucket, which must be there.
    async fn bucket_there(&self, bucket: &str) -> S3Result<Blobs> {
        let blobs = self.bucket(bucket)?;
        let listed = blobs.list(&Prefix::all(), None, 1).await;
        listed.map_err(refused)?;
        Ok(blobs)
    }

    async fn put(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
        media_type: Option<&str>,
    ) -> S3Result<()> {
        let media_type = media_type.unwrap_or("application/octet-stream");
        let put = self.bucket(bucket)?;
        put.put(&parsed(key)?, body, media_type)
            .await
            .map_err(refused)?;
        Ok(())
    }

    fn uploads<T>(&self, work: impl FnOnce(&mut HashMap<String, Upload>) -> T) -> T {
        work(&mut self.uploads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let blobs = self.bucket(&req.input.bucket)?;
        blobs.bucket_ensure().await.map_err(refused)?;
        Ok(S3Response::new(CreateBucketOutput::default()))
    }

    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket_there(&req.input.bucket).await?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = req.input;
        parsed(&input.key)?;
        if input.if_match.is_some() {
            return Err(s3_error!(
                NotImplemented,
                "puts in the place of one version"
            ));
        }
        let body = checked::collect(input.body.take(), input.content_length).await?;
        checked::check(&input, req.trailing_headers.as_ref(), &body)?;
        let media_type = input.content_type.as_deref();
        if input.if_none_match.is_some() {
            let media_type = media_type.unwrap_or("application/octet-stream");
            let bucket = self.bucket(&input.bucket)?;
            let stored = bucket.put_new(&parsed(&input.key)?, body, media_type).await;
            return match stored.map_err(refused)? {
                true => Ok(S3Response::new(PutObjectOutput::default())),
                false => Err(s3_error!(PreconditionFailed)),
            };
        }
        self.put(&input.bucket, &input.key, body, media_type)
            .await?;
        Ok(S3Response::new(PutObjectOutput::default()))
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        let from = match input.range {
            None => 0,
            Some(Range::Int { first, last: None }) => first,
            Some(_) => return Err(s3_error!(NotImplemented, "ranges with an end")),
        };
        let key = parsed(&input.key)?;
        let download = self.bucket(&input.bucket)?.download(&key).await;
        let download = download.map_err(refused)?;
        let head = download.head.clone();
        if from > 0 && from >= head.bytes {
            return Err(s3_error!(InvalidRange));
        }
        let pieces = stream::unfold((download, from), |(mut download, before)| async move {
            let piece = download.next().await?;
            let skipped = piece
                .as_ref()
                .map_or(0, |piece| before.min(piece.len() as u64));
            let piece = piece.map(|piece| piece.slice(skipped as usize..));
            Some((piece, (download, before - skipped)))
        });
        let range = format!(
            "bytes {from}-{}/{}",
            head.bytes.saturating_sub(1),
            head.bytes
        );
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::wrap(pieces)),
            content_length: i64::try_from(head.bytes - from).ok(),
            content_range: (from > 0).then_some(range),
            content_type: input.response_content_type.or(head.media_type),
            content_disposition: input.response_content_disposition,
            last_modified: head.modified.map(Timestamp::from),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let key = parsed(&req.input.key)?;
        let head = self.bucket(&req.input.bucket)?.head(&key).await;
        let head = head.map_err(refused)?.ok_or_else(|| s3_error!(NoSuchKey))?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(head.bytes).ok(),
            content_type: head.media_type,
            last_modified: head.modified.map(Timestamp::from),
            ..HeadObjectOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let keys = [parsed(&req.input.key)?];
        let deleted = self.bucket(&req.input.bucket)?.delete(&keys).await;
        deleted.map_err(refused)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let objects = req.input.delete.objects.into_iter();
        let keys = objects
            .map(|object| parsed(&object.key))
            .collect::<S3Result<Vec<_>>>()?;
        let deleted = self.bucket(&req.input.bucket)?.delete(&keys).await;
        deleted.map_err(refused)?;
        Ok(S3Response::new(DeleteObjectsOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        if input.delimiter.is_some() {
            return Err(s3_error!(NotImplemented, "listings with a delimiter"));
        }
        let prefix = match input.prefix.as_deref().unwrap_or_default() {
            "" => Prefix::all(),
            prefix => Prefix::folder(&parsed(prefix.strip_suffix('/').unwrap_or(prefix))?),
        };
        let after = input
            .continuation_token
            .clone()
            .max(input.start_after.clone());
        let limit = input.max_keys.unwrap_or(LIST_MAX).clamp(1, LIST_MAX);
        let blobs = self.bucket(&input.bucket)?;
        let page = blobs
            .list(&prefix, after.as_deref(), limit.unsigned_abs() as u16)
            .await
            .map_err(refused)?;
        let objects = page.blobs.into_iter().map(|listed| Object {
            key: Some(listed.key.into()),
            size: i64::try_from(listed.bytes).ok(),
            last_modified: listed.modified.map(Timestamp::from),
            ..Object::default()
        });
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(objects.collect()),
            max_keys: Some(limit),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next,
            name: Some(input.bucket),
            prefix: input.prefix,
            ..ListObjectsV2Output::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        parsed(&input.key)?;
        self.bucket_there(&input.bucket).await?;
        let id = Uuid::now_v7().to_string();
        let upload = Upload {
            bucket: input.bucket,
            key: input.key,
            media_type: input.content_type,
            initiated: SystemTime::now(),
            parts: BTreeMap::new(),
        };
        self.uploads(|uploads| uploads.insert(id.clone(), upload));
        Ok(S3Response::new(CreateMultipartUploadOutput {
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = req.input;
        let part = checked::collect(input.body, input.content_length).await?;
        self.uploads(|uploads| {
            let upload = uploads.get_mut(&input.upload_id);
            let upload = upload.ok_or_else(|| s3_error!(NoSuchUpload))?;
            upload.parts.insert(input.part_number, part);
            Ok(S3Response::new(UploadPartOutput::default()))
        })
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let upload = self.uploads(|uploads| uploads.remove(&req.input.upload_id));
        let upload = upload.ok_or_else(|| s3_error!(NoSuchUpload))?;
        let sent = req.input.multipart_upload.and_then(|upload| upload.parts);
        let sent = sent.unwrap_or_default();
        if !sent
            .iter()
            .map(|part| part.part_number)
            .eq(upload.parts.keys().map(|number| Some(*number)))
        {
            return Err(s3_error!(InvalidPart));
        }
        let parts: Vec<Bytes> = upload.parts.into_values().collect();
        let media_type = upload.media_type.as_deref();
        self.put(
            &upload.bucket,
            &upload.key,
            parts.concat().into(),
            media_type,
        )
        .await?;
        Ok(S3Response::new(CompleteMultipartUploadOutput::default()))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.uploads(|uploads| uploads.remove(&req.input.upload_id))
            .ok_or_else(|| s3_error!(NoSuchUpload))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        self.bucket_there(&input.bucket).await?;
        let prefix = input.prefix.unwrap_or_default();
        let limit = input.max_uploads.unwrap_or(LIST_MAX).clamp(0, LIST_MAX);
        let found = self.uploads(|uploads| {
            let ours = uploads.iter().filter(|(_, upload)| {
                upload.bucket == input.bucket && upload.key.starts_with(&prefix)
            });
            let ours = ours.take(limit.unsigned_abs() as usize);
            ours.map(|(id, upload)| MultipartUpload {
                key: Some(upload.key.clone()),
                upload_id: Some(id.clone()),
                initiated: Some(Timestamp::from(upload.initiated)),
                ..MultipartUpload::default()
            })
            .collect()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(found),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}

/// Our keys alone: no other name leads to a file.
fn parsed(key: &str) -> S3Result<Key> {
    key.parse().map_err(refused)
}

/// What S3 calls the error.
fn refused(error: Error) -> S3Error {
    match &error {
        Error::NoBucket { .. } => s3_error!(NoSuchBucket),
        Error::Key { .. } | Error::Settings(_) => s3_error!(InvalidArgument, "{error}"),
        Error::NotFound { .. } => s3_error!(NoSuchKey),
        error => s3_error!(InternalError, "{error}"),
    }
}
