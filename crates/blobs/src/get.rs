use std::time::Duration;

use aws_sdk_s3::{presigning::PresigningConfig, primitives::ByteStream};
use bytes::{Bytes, BytesMut};
use limekiln_jobs::retry::Policy;
use limekiln_jobs::{Digest, ErrorKind, Retryable};
use time::OffsetDateTime;
use url::Url;

use crate::{Blobs, Error, Key, Result, client::Inner};

/// Delays before a body that came cut short or damaged is asked for again.
const RETRY: Policy = Policy::new(Duration::from_millis(200), Duration::from_millis(3200));

/// The longest a signature may last, by S3's rules.
const PRESIGN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Above this, hashing leaves the async thread.
pub(crate) const HASH_INLINE_BYTES: usize = 1 << 20;

/// What a server says of a blob without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its media type, when the server kept one.
    pub media_type: Option<String>,
    /// When it was stored.
    pub modified: Option<OffsetDateTime>,
}

/// A blob on its way, piece by piece; its length is checked, its content is not.
#[derive(Debug)]
pub struct Download {
    /// What the server says of it.
    pub head: Head,
    key: String,
    body: ByteStream,
    arrived_bytes: u64,
    /// The longest wait for a piece.
    patience: Duration,
}

impl Download {
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
            Some(Err(error)) => Some(Err(Error::Unavailable {
                operation: "go on sending a blob",
                message: error.to_string(),
            })),
            None if self.arrived_bytes != self.head.bytes => {
                // Said once: the next call ends.
                let arrived = std::mem::replace(&mut self.arrived_bytes, self.head.bytes);
                Some(Err(Error::Unavailable {
                    operation: "go on sending a blob",
                    message: format!(
                        "{arrived} of {} bytes of `{}` came",
                        self.head.bytes, self.key
                    ),
                }))
            }
            None => None,
        }
    }
}

impl Blobs {
    /// The whole blob, at most `limit_bytes` of it, checked against `expect` when given.
    pub async fn get(&self, key: &Key, expect: Option<&Digest>, limit_bytes: u64) -> Result<Bytes> {
        let inner = &*self.inner;
        inner
            .timed("get a blob", async {
                let mut backoff = RETRY.tries(inner.settings.attempts).start();
                loop {
                    // The SDK tries again until a body begins; one cut short or damaged on its way is ours to ask for again.
                    let download = inner.open(key).await?;
                    match read(key, download, expect, limit_bytes).await {
                        Err(error)
                            if matches!(
                                error.kind(),
                                ErrorKind::Transient | ErrorKind::Corrupt
                            ) =>
                        {
                            let Some(delay) = backoff.next() else {
                                return Err(error);
                            };
                            tracing::debug!(%key, %error, "getting the blob again");
                            tokio::time::sleep(delay).await;
                        }
                        done => return done,
                    }
                }
            })
            .await
    }

    /// The blob piece by piece, for passing on.
    pub async fn download(&self, key: &Key) -> Result<Download> {
        self.inner.timed("open a blob", self.inner.open(key)).await
    }

    /// What the server says of the blob; none when there is none.
    pub async fn head(&self, key: &Key) -> Result<Option<Head>> {
        let inner = &*self.inner;
        inner
            .timed("look up a blob", async {
                let asked = inner
                    .client
                    .head_object()
                    .bucket(&inner.settings.bucket)
                    .key(inner.full(key))
                    .send()
                    .await;
                match asked {
                    Ok(head) => Ok(Some(Head {
                        bytes: length(head.content_length),
                        media_type: head.content_type,
                        modified: head.last_modified.and_then(moment),
                    })),
                    Err(error) => match inner.fault("look up a blob", Some(key.as_str()), error) {
                        Error::NotFound { .. } => Ok(None),
                        error => Err(error),
                    },
                }
            })
            .await
    }

    /// Whether there is such a blob.
    pub async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.head(key).await?.is_some())
    }

    /// A URL from which anybody may get the blob for `ttl` (at most a week), against the public endpoint, saved as
    /// `file_name` when given. No request is made.
    pub async fn presign(&self, key: &Key, ttl: Duration, file_name: Option<&str>) -> Result<Url> {
        let inner = &*self.inner;
        let unsigned = |message: String| Error::Other {
            operation: "sign a URL",
            message,
        };
        let signing = PresigningConfig::expires_in(ttl.min(PRESIGN_MAX))
            .map_err(|error| unsigned(error.to_string()))?;
        let signed = inner
            .public
            .get_object()
            .bucket(&inner.settings.bucket)
            .key(inner.full(key))
            .set_response_content_disposition(file_name.map(disposition))
            .presigned(signing)
            .await
            .map_err(|error| inner.fault("sign a URL", Some(key.as_str()), error))?;
        Url::parse(signed.uri()).map_err(|error| unsigned(error.to_string()))
    }
}

impl Inner {
    pub(crate) async fn open(&self, key: &Key) -> Result<Download> {
        let got = self
            .client
            .get_object()
            .bucket(&self.settings.bucket)
            .key(self.full(key))
            .send()
            .await
            .map_err(|error| self.fault("get a blob", Some(key.as_str()), error))?;
        Ok(Download {
            head: Head {
                bytes: length(got.content_length),
                media_type: got.content_type,
                modified: got.last_modified.and_then(moment),
            },
            key: key.to_string(),
            body: got.body,
            arrived_bytes: 0,
            patience: self.settings.timeouts.attempt,
        })
    }
}

/// The whole body, checked.
async fn read(
    key: &Key,
    mut download: Download,
    expect: Option<&Digest>,
    limit_bytes: u64,
) -> Result<Bytes> {
    let too_large = || Error::TooLarge {
        key: key.to_string(),
        limit_bytes,
    };
    if download.head.bytes > limit_bytes {
        return Err(too_large());
    }
    let Some(first) = download.next().await.transpose()? else {
        return verified(key, Bytes::new(), expect).await;
    };
    let body = if first.len() as u64 == download.head.bytes {
        // Small blobs come in one piece, and are not copied. The end is still waited for: only a body that was
        // read to its end gives its connection back.
        while let Some(more) = download.next().await.transpose()? {
            if !more.is_empty() {
                return Err(too_large());
            }
        }
        first
    } else {
        let mut body = BytesMut::with_capacity(download.head.bytes.min(limit_bytes) as usize);
        body.extend_from_slice(&first);
        while let Some(more) = download.next().await.transpose()? {
            if (body.len() + more.len()) as u64 > limit_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&more);
        }
        body.freeze()
    };
    metrics::counter!("limekiln_blob_read_bytes_total").increment(body.len() as u64);
    verified(key, body, expect).await
}

async fn verified(key: &Key, body: Bytes, expect: Option<&Digest>) -> Result<Bytes> {
    let Some(expect) = expect else {
        return Ok(body);
    };
    let found = digest_of(&body).await?;
    if found == *expect {
        return Ok(body);
    }
    Err(Error::Corrupt {
        key: key.to_string(),
        expected: expect.to_string(),
        found: format!("{found} ({} bytes)", body.len()),
    })
}

/// The digest, large bodies off the async thread.
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

fn length(bytes: Option<i64>) -> u64 {
    bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or(0)
}

pub(crate) fn moment(at: aws_sdk_s3::primitives::DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(at.as_nanos()).ok()
}

/// A header that saves under this name; whatever could end the quotes or the line becomes `_`.
fn disposition(file_name: &str) -> String {
    let safe: String = file_name
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | ' ' => c,
            _ => '_',
        })
        .take(120)
        .collect();
    format!("attachment; filename=\"{safe}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_cannot_leave_their_quotes() {
        assert_eq!(
            disposition("result.png"),
            "attachment; filename=\"result.png\""
        );
        assert_eq!(
            disposition("a\"; x\r\ny é"),
            "attachment; filename=\"a__ x__y _\""
        );
    }
}
