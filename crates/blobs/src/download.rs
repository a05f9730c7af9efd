//! A blob on its way from either half, and its check.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use limekiln_jobs::Digest;
use time::OffsetDateTime;
use tokio::{fs::File, io::AsyncReadExt};

use crate::{Error, Result};

/// Above this, hashing leaves the async thread.
const HASH_INLINE_BYTES: usize = 1 << 20;

/// A file comes in pieces of this, in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// What is known of a blob without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its media type, where one was kept.
    pub media_type: Option<String>,
    /// When it was stored.
    pub modified: Option<OffsetDateTime>,
}

/// A blob on its way, piece by piece; its length is checked, its content is not.
#[derive(Debug)]
pub struct Download {
    /// Length, media type and time of the blob.
    pub head: Head,
    name: String,
    body: Body,
    arrived_bytes: u64,
    /// The longest wait for a piece.
    patience: Duration,
}

/// Where the pieces come from.
#[derive(Debug)]
pub(crate) enum Body {
    S3(ByteStream),
    /// The start of the file, read when it was opened, and the rest.
    File {
        first: Option<Bytes>,
        rest: File,
    },
}

impl Body {
    /// The next piece; none at the end.
    async fn next(&mut self) -> Option<Result<Bytes, String>> {
        match self {
            Self::S3(stream) => Some(stream.next().await?.map_err(|error| error.to_string())),
            Self::File { first, rest } => {
                if let Some(first) = first.take() {
                    return Some(Ok(first));
                }
                let mut piece = BytesMut::with_capacity(PIECE_BYTES);
                match rest.read_buf(&mut piece).await {
                    Ok(0) => None,
                    Ok(_) => Some(Ok(piece.freeze())),
                    Err(error) => Some(Err(error.to_string())),
                }
            }
        }
    }
}

impl Download {
    /// `from` of the blob's bytes came before.
    pub(crate) fn new(head: Head, name: &str, body: Body, from: u64, patience: Duration) -> Self {
        Self {
            head,
            name: name.to_owned(),
            body,
            arrived_bytes: from,
            patience,
        }
    }

    /// The next piece; none after the last. Errors: the connection, a piece that does not come, or an end before the
    /// announced length.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        let piece = match tokio::time::timeout(self.patience, self.body.next()).await {
            Ok(piece) => piece,
            Err(_) => {
                return Some(Err(Error::Timeout {
                    operation: "go on sending a blob",
                    after: self.patience,
                }));
            }
        };
        match piece {
            Some(Ok(bytes)) => {
                self.arrived_bytes += bytes.len() as u64;
                Some(Ok(bytes))
            }
            Some(Err(message)) => Some(Err(Error::Unavailable {
                operation: "go on sending a blob",
                message,
            })),
            None if self.arrived_bytes != self.head.bytes => {
                // Reported once: the next call ends.
                let arrived = std::mem::replace(&mut self.arrived_bytes, self.head.bytes);
                Some(Err(Error::Unavailable {
                    operation: "go on sending a blob",
                    message: format!(
                        "{arrived} of {} bytes of `{}` came",
                        self.head.bytes, self.name
                    ),
                }))
            }
            None => None,
        }
    }

    /// The whole body, at most `limit_bytes` of it, checked against `expect` when given.
    pub(crate) async fn whole(
        mut self,
        expect: Option<&Digest>,
        limit_bytes: u64,
    ) -> Result<Bytes> {
        if self.head.bytes > limit_bytes {
            return Err(self.too_large(limit_bytes));
        }
        let mut body = BytesMut::new();
        // A small blob comes in one piece, which is not copied.
        let mut only = self.next().await.transpose()?;
        // Read to the end even when all has come: only then does the connection go back to its pool.
        while let Some(more) = self.next().await.transpose()? {
            if let Some(first) = only.take() {
                body.reserve(self.head.bytes as usize);
                body.extend_from_slice(&first);
            }
            if (body.len() + more.len()) as u64 > limit_bytes {
                return Err(self.too_large(limit_bytes));
            }
            body.extend_from_slice(&more);
        }
        let body = only.unwrap_or_else(|| body.freeze());
        metrics::counter!("limekiln_blob_read_bytes_total").increment(body.len() as u64);
        let Some(expect) = expect else {
            return Ok(body);
        };
        let found = digest_of(&body).await?;
        if found == *expect {
            return Ok(body);
        }
        Err(Error::Corrupt {
            key: self.name,
            expected: expect.to_string(),
            found: format!("{found} ({} bytes)", body.len()),
        })
    }

    fn too_large(&self, limit_bytes: u64) -> Error {
        Error::TooLarge {
            key: self.name.clone(),
            limit_bytes,
        }
    }
}

/// The digest; large bodies are hashed off the async thread.
pub(crate) async fn digest_of(body: &Bytes) -> Result<Digest> {
    if body.len() <= HASH_INLINE_BYTES {
        return Ok(Digest::of(body));
    }
    let body = body.clone();
    tokio::task::spawn_blocking(move || Digest::of(&body))
        .await
        .map_err(|error| Error::Other {
            operation: "hash a blob",
            message: error.to_string(),
        })
}
