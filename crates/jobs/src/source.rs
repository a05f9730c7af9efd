//! Where a tenant's pictures may be fetched from: addresses of the web and buckets, by what they begin with.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The longest address.
pub const ADDRESS_CHARS_MAX: usize = 2048;
/// The longest key of a bucket, in bytes, as S3 has it.
const KEY_BYTES_MAX: usize = 1024;

/// Where a picture is, or what such addresses begin with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// On the web: `https://cdn.example/photos/a.jpg`.
    Web(Url),
    /// In a bucket: `s3://bucket/photos/a.jpg`.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key, as it is.
        key: String,
    },
}

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No address that pictures are fetched from.
    #[error("must begin with https://, http:// or s3://")]
    Scheme,
    /// It can't be read.
    #[error("is no address")]
    Unreadable,
    /// It is longer than 2,048 characters, or its key than 1,024 bytes.
    #[error("is too long")]
    Long,
    /// A password in it would end up in logs and manifests.
    #[error(
        "carries a user or a password: have the operator allow the place with its own credentials"
    )]
    Credentials,
    /// It names no bucket, or one that can't be.
    #[error("names no bucket: write s3://BUCKET/KEY")]
    Bucket,
    /// Which part of a place it is in depends on who reads it.
    #[error("has an encoded slash in its path")]
    Slash,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.chars().count() > ADDRESS_CHARS_MAX {
            return Err(AddressError::Long);
        }
        if text.chars().any(char::is_control) {
            return Err(AddressError::Unreadable);
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            let plain = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
            };
            if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(plain) {
                return Err(AddressError::Bucket);
            }
            if key.len() > KEY_BYTES_MAX {
                return Err(AddressError::Long);
            }
            let (bucket, key) = (bucket.to_owned(), key.to_owned());
            return Ok(Self::S3 { bucket, key });
        }
        let web = |scheme: &str| {
            let head = text.get(..scheme.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(scheme))
        };
        if !web("https://") && !web("http://") {
            return Err(AddressError::Scheme);
        }
        let mut url: Url = text.parse().map_err(|_| AddressError::Unreadable)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        let path = url.path().to_ascii_lowercase();
        if path.contains("%2f") || path.contains("%5c") {
            return Err(AddressError::Slash);
        }
        url.set_fragment(None);
        Ok(Self::Web(url))
    }
}

impl Address {
    /// Whether a text is meant to be one, and no path of a file.
    pub fn is_meant(text: &str) -> bool {
        ["https://", "http://", "s3://"].iter().any(|scheme| {
            let head = text.trim_start().get(..scheme.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(scheme))
        })
    }

    /// Whether `other` begins with this: the same scheme, host and port, or bucket, and a path below this one.
    pub fn begins(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Web(this), Self::Web(other)) => {
                let end = |url: &Url| url.port_or_known_default();
                this.scheme() == other.scheme()
                    && this.host() == other.host()
                    && end(this) == end(other)
                    && below(this.path(), other.path())
            }
            (
                Self::S3 { bucket, key },
                Self::S3 {
                    bucket: in_,
                    key: of,
                },
            ) => bucket == in_ && (key.is_empty() || below(key, of)),
            _ => false,
        }
    }

    /// What pictures of one place share: how often it is asked is bounded.
    pub fn host(&self) -> String {
        match self {
            Self::Web(url) => url.host_str().unwrap_or_default().to_owned(),
            Self::S3 { bucket, .. } => format!("s3://{bucket}"),
        }
    }
}

/// Whether a path is in a folder, or is that itself.
fn below(folder: &str, path: &str) -> bool {
    match path.strip_prefix(folder) {
        Some(rest) => rest.is_empty() || folder.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(url) => url.fmt(f),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_in_a_place_or_not() {
        let in_ = |place: &str, text: &str| address(place).begins(&address(text));
        for (place, text) in [
            (
                "https://cdn.example/photos/",
                "https://cdn.example/photos/a.jpg?sig=1",
            ),
            (
                "https://cdn.example/photos",
                "https://CDN.example:443/photos/b/a.jpg",
            ),
            ("https://cdn.example", "https://cdn.example/any"),
            ("http://cdn.example:8080/", "http://cdn.example:8080/a"),
            ("s3://bucket", "s3://bucket/a b/ü.jpg"),
            ("s3://bucket/autumn/", "s3://bucket/autumn/a.jpg"),
        ] {
            assert!(in_(place, text), "{text} in {place}");
        }
        for (place, text) in [
            ("https://cdn.example/photos/", "https://cdn.example/photos"),
            (
                "https://cdn.example/photos",
                "https://cdn.example/photos-of-others/a",
            ),
            (
                "https://cdn.example/photos/",
                "https://cdn.example/photos/../private/a",
            ),
            (
                "https://cdn.example/photos/",
                "https://cdn.example/photos/%2e%2e/private/a",
            ),
            ("https://cdn.example/", "http://cdn.example/a"),
            ("https://cdn.example/", "https://cdn.example:8443/a"),
            ("https://cdn.example/", "https://cdn.example.evil/a"),
            ("https://cdn.example/", "https://evil/cdn.example/a"),
            ("s3://bucket/autumn/", "s3://bucket/autumns/a"),
            ("s3://bucket", "s3://buckets/a"),
            ("https://bucket/", "s3://bucket/a"),
        ] {
            assert!(!in_(place, text), "{text} in {place}");
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        for (text, error) in [
            ("", AddressError::Scheme),
            ("a.jpg", AddressError::Scheme),
            ("file:///etc/passwd", AddressError::Scheme),
            ("ftp://cdn.example/a", AddressError::Scheme),
            ("gopher://cdn.example/a", AddressError::Scheme),
            ("https://", AddressError::Unreadable),
            ("https://cdn.example/\n", AddressError::Unreadable),
            ("https://me@cdn.example/a", AddressError::Credentials),
            ("https://me:secret@cdn.example/a", AddressError::Credentials),
            (
                "https://cdn.example/photos/..%2fprivate",
                AddressError::Slash,
            ),
            (
                "https://cdn.example/photos/..%5Cprivate",
                AddressError::Slash,
            ),
            ("s3://", AddressError::Bucket),
            ("s3:///a", AddressError::Bucket),
            ("s3://Bucket/a", AddressError::Bucket),
            ("s3://a:b@c/d", AddressError::Bucket),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
        let long = format!("https://cdn.example/{}", "a".repeat(2048));
        assert_eq!(long.parse::<Address>(), Err(AddressError::Long));
        let long = format!("s3://bucket/{}", "ü".repeat(513));
        assert_eq!(long.parse::<Address>(), Err(AddressError::Long));
        assert!(Address::is_meant("HTTPS://cdn.example/a") && Address::is_meant("s3://b/a"));
        assert!(!Address::is_meant("photos/a.jpg") && !Address::is_meant("https:/a"));
    }
}
