use std::{fmt, time::Duration};

use url::Url;

use crate::{Error, Key, Result, key::TENANTS};

/// Tries of one request, the first included, unless the settings say otherwise.
pub(crate) const ATTEMPTS: u32 = 3;

/// Where the bucket is on S3, and how long requests may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The S3 server; none means AWS itself.
    pub endpoint: Option<Url>,
    /// The server as clients outside see it, for presigned URLs; none means `endpoint`.
    pub public_endpoint: Option<Url>,
    /// The region; none means what the SDK finds (AWS_REGION, profile, on AWS the instance), else `us-east-1`.
    pub region: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// Put before every key with a slash, such as `staging`; empty for none. No segment of it is `t`, by which every
    /// fleet's own keys start: so no fleet's prefix lies among another's keys.
    pub prefix: String,
    /// `http://host/bucket/key` instead of `http://bucket.host/key`. Most servers that are not AWS need it.
    pub path_style: bool,
    /// Credentials; none means the usual chain (environment, profile, web identity, instance).
    pub credentials: Option<Credentials>,
    /// How long requests may take.
    pub timeouts: Timeouts,
    /// Tries of one request, the first included.
    pub attempts: u32,
}

impl Settings {
    /// A bucket on AWS, or on the server at `endpoint` with path style.
    pub fn new(endpoint: Option<Url>, bucket: impl Into<String>) -> Self {
        Self {
            path_style: endpoint.is_some(),
            endpoint,
            public_endpoint: None,
            region: None,
            bucket: bucket.into(),
            prefix: String::new(),
            credentials: None,
            timeouts: Timeouts::default(),
            attempts: ATTEMPTS,
        }
    }

    /// Refuses what is wrong with them whatever the server says.
    pub(crate) fn check(&self) -> Result<()> {
        bucket_check(&self.bucket)?;
        for endpoint in [&self.endpoint, &self.public_endpoint]
            .into_iter()
            .flatten()
        {
            if !matches!(endpoint.scheme(), "http" | "https") || endpoint.host_str().is_none() {
                return Err(Error::Settings(format!(
                    "`{endpoint}` is no S3 endpoint; use http://host:port or https://host"
                )));
            }
        }
        prefix_check(&self.prefix)
    }
}

/// Refuses what can't be a bucket's name.
pub(crate) fn bucket_check(bucket: &str) -> Result<()> {
    let named = (3..=63).contains(&bucket.len())
        && bucket
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
        && !bucket.starts_with(['-', '.'])
        && !bucket.contains("..");
    if named {
        return Ok(());
    }
    Err(Error::Settings(format!(
        "`{}` is no bucket name; 3 to 63 of a-z, 0-9, - and .",
        bucket.chars().take(80).collect::<String>()
    )))
}

/// Refuses what can't be put before keys; the empty prefix is none.
pub(crate) fn prefix_check(prefix: &str) -> Result<()> {
    if prefix.is_empty() {
        return Ok(());
    }
    let checked = prefix.parse::<Key>().map(drop);
    checked.map_err(|error| Error::Settings(format!("prefix: {error}")))?;
    if prefix.split('/').any(|segment| segment == TENANTS) {
        return Err(Error::Settings(format!(
            "prefix: `{prefix}` has the segment `{TENANTS}`, under which a fleet keeps its pictures; choose another"
        )));
    }
    Ok(())
}

/// An access key and its secret.
#[derive(Clone)]
pub struct Credentials {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// How long requests to S3 may take. Every process shares one S3, so what hangs is given up before it holds up the process.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// To connect.
    pub connect: Duration,
    /// One try of a request, its body included.
    pub attempt: Duration,
    /// A request with all its tries.
    pub operation: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(30),
            operation: Duration::from_secs(120),
        }
    }
}
