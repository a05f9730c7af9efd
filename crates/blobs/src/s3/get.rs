use std::time::Duration;

use aws_sdk_s3::{presigning::PresigningConfig, primitives::DateTime};
use time::OffsetDateTime;
use url::Url;

use super::client::S3;
use crate::{Download, Error, Head, Result, download::Body};

/// The longest a signature may last, by S3's rules.
const PRESIGN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

impl S3 {
    /// Begins to get a blob, behind its first `from` bytes.
    pub(crate) async fn open(&self, name: &str, from: u64) -> Result<Download> {
        let got = self
            .client
            .get_object()
            .bucket(&self.settings.bucket)
            .key(name)
            .set_range((from > 0).then(|| format!("bytes={from}-")))
            .send()
            .await
            .map_err(|error| self.fault("get a blob", Some(name), error))?;
        let mut head = head(got.content_length, got.content_type, got.last_modified);
        if from > 0 {
            if got.content_range.is_none() {
                return Err(Error::Other {
                    operation: "get a part of a blob",
                    message: "the server sends all of it".to_owned(),
                });
            }
            head.bytes += from;
        }
        let patience = self.settings.timeouts.attempt;
        Ok(Download::new(
            head,
            name,
            Body::S3(got.body),
            from,
            patience,
        ))
    }

    /// What the server says of a blob without sending it.
    pub(crate) async fn head(&self, name: &str) -> Result<Head> {
        let got = self
            .client
            .head_object()
            .bucket(&self.settings.bucket)
            .key(name)
            .send()
            .await
            .map_err(|error| self.fault("look up a blob", Some(name), error))?;
        Ok(head(
            got.content_length,
            got.content_type,
            got.last_modified,
        ))
    }

    /// A URL that gets the blob for `ttl` (at most a week) from the public endpoint, saved as `file_name` when given.
    pub(crate) async fn presign(
        &self,
        name: &str,
        ttl: Duration,
        file_name: Option<&str>,
    ) -> Result<Url> {
        let unsigned = |message: String| Error::Other {
            operation: "sign a URL",
            message,
        };
        let signing = PresigningConfig::expires_in(ttl.min(PRESIGN_MAX))
            .map_err(|error| unsigned(error.to_string()))?;
        let signed = self
            .public
            .get_object()
            .bucket(&self.settings.bucket)
            .key(name)
            .set_response_content_disposition(file_name.map(disposition))
            .presigned(signing)
            .await
            .map_err(|error| self.fault("sign a URL", Some(name), error))?;
        Url::parse(signed.uri()).map_err(|error| unsigned(error.to_string()))
    }
}

fn head(bytes: Option<i64>, media_type: Option<String>, modified: Option<DateTime>) -> Head {
    Head {
        bytes: length(bytes),
        media_type,
        modified: modified.and_then(timestamp),
    }
}

pub(super) fn length(bytes: Option<i64>) -> u64 {
    bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or(0)
}

pub(super) fn timestamp(at: DateTime) -> Option<OffsetDateTime> {
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
