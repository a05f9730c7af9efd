//! A body in memory, held against every checksum that came with it.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use s3s::{
    S3Result, TrailingHeaders,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Md5},
    dto::{Checksum, PutObjectInput, StreamingBlob},
    s3_error,
};

/// The whole body. The stream itself ends with an error when it is cut short, or is not what the signature says.
pub(super) async fn collect(
    body: Option<StreamingBlob>,
    announced: Option<i64>,
) -> S3Result<Bytes> {
    let mut stream = body.ok_or_else(|| s3_error!(IncompleteBody))?;
    let mut body = BytesMut::new();
    while let Some(piece) = stream.next().await {
        body.extend_from_slice(&piece.map_err(|error| s3_error!(IncompleteBody, "{error}"))?);
    }
    if announced.is_some_and(|announced| usize::try_from(announced) != Ok(body.len())) {
        return Err(s3_error!(IncompleteBody));
    }
    Ok(body.freeze())
}

/// Refuses a body that is not what its checksums say; `trailers` come behind the body.
pub(super) fn check(
    input: &PutObjectInput,
    trailers: Option<&TrailingHeaders>,
    body: &[u8],
) -> S3Result<()> {
    let trailers = trailers.and_then(TrailingHeaders::take).unwrap_or_default();
    let sent = |name: &str, header: &Option<String>| {
        let trailer = trailers.get(format!("x-amz-checksum-{name}"));
        let trailer = trailer.and_then(|value| value.to_str().ok());
        trailer.map(str::to_owned).or(header.clone())
    };
    let sent = Checksum {
        checksum_crc32: sent("crc32", &input.checksum_crc32),
        checksum_crc32c: sent("crc32c", &input.checksum_crc32c),
        checksum_crc64nvme: sent("crc64nvme", &input.checksum_crc64nvme),
        checksum_sha1: sent("sha1", &input.checksum_sha1),
        checksum_sha256: sent("sha256", &input.checksum_sha256),
        ..Checksum::default()
    };
    let mut hasher = ChecksumHasher {
        crc32: sent.checksum_crc32.as_ref().map(|_| Default::default()),
        crc32c: sent.checksum_crc32c.as_ref().map(|_| Default::default()),
        crc64nvme: sent.checksum_crc64nvme.as_ref().map(|_| Default::default()),
        sha1: sent.checksum_sha1.as_ref().map(|_| Default::default()),
        sha256: sent.checksum_sha256.as_ref().map(|_| Default::default()),
    };
    hasher.update(body);
    let found = hasher.finalize();
    let agree = found.checksum_crc32 == sent.checksum_crc32
        && found.checksum_crc32c == sent.checksum_crc32c
        && found.checksum_crc64nvme == sent.checksum_crc64nvme
        && found.checksum_sha1 == sent.checksum_sha1
        && found.checksum_sha256 == sent.checksum_sha256;
    if !agree {
        return Err(s3_error!(BadDigest, "x-amz-checksum-* is not the body's"));
    }
    let Some(sent) = &input.content_md5 else {
        return Ok(());
    };
    let sent = STANDARD
        .decode(sent)
        .map_err(|_| s3_error!(InvalidDigest))?;
    let mut hasher = Md5::new();
    hasher.update(body);
    if sent[..] != hasher.finalize()[..] {
        return Err(s3_error!(BadDigest, "Content-MD5 is not the body's"));
    }
    Ok(())
}
