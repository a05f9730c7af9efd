//! A body in memory, held against every checksum that came with it.

use bytes::Bytes;
use futures_util::StreamExt;
use s3s::{
    S3Result, TrailingHeaders,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Md5},
    dto::{Checksum, PutObjectInput, StreamingBlob},
    s3_error,
};

use base64::{Engine, engine::general_purpose::STANDARD};

/// The most bytes of a body, its parts apart. Our client sends 8 MiB at most.
pub(super) const BODY_MAX: usize = 64 << 20;

/// The whole body. The stream itself ends with an error when it is cut short, or is not what the signature says.
pub(super) async fn collect(
    body: Option<StreamingBlob>,
    announced: Option<i64>,
) -> S3Result<Vec<Bytes>> {
    let mut body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
    let (mut pieces, mut bytes) = (Vec::new(), 0);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| s3_error!(IncompleteBody, "{error}"))?;
        bytes += piece.len();
        if bytes > BODY_MAX {
            return Err(s3_error!(EntityTooLarge, "above 64 MiB, upload in parts"));
        }
        pieces.push(piece);
    }
    if announced.is_some_and(|announced| usize::try_from(announced) != Ok(bytes)) {
        return Err(s3_error!(IncompleteBody));
    }
    Ok(pieces)
}

/// Refuses a body that is not what its checksums say. To be called after the body was read: some come behind it.
pub(super) fn check(
    input: &PutObjectInput,
    trailers: Option<&TrailingHeaders>,
    body: &[Bytes],
) -> S3Result<()> {
    let mut said = Checksum {
        checksum_crc32: input.checksum_crc32.clone(),
        checksum_crc32c: input.checksum_crc32c.clone(),
        checksum_crc64nvme: input.checksum_crc64nvme.clone(),
        checksum_sha1: input.checksum_sha1.clone(),
        checksum_sha256: input.checksum_sha256.clone(),
        ..Checksum::default()
    };
    if let Some(trailers) = trailers.and_then(TrailingHeaders::take) {
        let trailer = |name: &str| {
            trailers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        said.checksum_crc32 = trailer("x-amz-checksum-crc32").or(said.checksum_crc32);
        said.checksum_crc32c = trailer("x-amz-checksum-crc32c").or(said.checksum_crc32c);
        said.checksum_crc64nvme = trailer("x-amz-checksum-crc64nvme").or(said.checksum_crc64nvme);
        said.checksum_sha1 = trailer("x-amz-checksum-sha1").or(said.checksum_sha1);
        said.checksum_sha256 = trailer("x-amz-checksum-sha256").or(said.checksum_sha256);
    }
    let mut hasher = ChecksumHasher {
        crc32: said.checksum_crc32.as_ref().map(|_| Default::default()),
        crc32c: said.checksum_crc32c.as_ref().map(|_| Default::default()),
        crc64nvme: said.checksum_crc64nvme.as_ref().map(|_| Default::default()),
        sha1: said.checksum_sha1.as_ref().map(|_| Default::default()),
        sha256: said.checksum_sha256.as_ref().map(|_| Default::default()),
    };
    body.iter().for_each(|piece| hasher.update(piece));
    let found = hasher.finalize();
    let agree = found.checksum_crc32 == said.checksum_crc32
        && found.checksum_crc32c == said.checksum_crc32c
        && found.checksum_crc64nvme == said.checksum_crc64nvme
        && found.checksum_sha1 == said.checksum_sha1
        && found.checksum_sha256 == said.checksum_sha256;
    if !agree {
        return Err(s3_error!(BadDigest, "x-amz-checksum-* is not the body's"));
    }
    if let Some(said) = &input.content_md5 {
        let said = STANDARD
            .decode(said)
            .map_err(|_| s3_error!(InvalidDigest))?;
        let mut hasher = Md5::new();
        body.iter().for_each(|piece| hasher.update(piece));
        if said[..] != hasher.finalize()[..] {
            return Err(s3_error!(BadDigest, "Content-MD5 is not the body's"));
        }
    }
    Ok(())
}
