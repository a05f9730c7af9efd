use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::tls;

use crate::{Error, Key, Result, Settings};

/// The region of those who name none: S3-compatible servers take any, and this one creates buckets without ado.
const REGION: &str = "us-east-1";

/// The bucket. Cheap to clone; all clones share their connections.
#[derive(Debug, Clone)]
pub struct Blobs {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) client: Client,
    /// Signs for the public endpoint; sends nothing.
    pub(crate) public: Client,
}

impl Blobs {
    /// A client with these settings. Reads credentials; asks the server nothing.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        settings.check()?;
        let config = config(settings).await;
        let public = match &settings.public_endpoint {
            Some(endpoint) => Client::from_conf(
                config
                    .clone()
                    .to_builder()
                    .endpoint_url(endpoint_text(endpoint))
                    .build(),
            ),
            None => Client::from_conf(config.clone()),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                settings: settings.clone(),
                client: Client::from_conf(config),
                public,
            }),
        })
    }

    /// The same server and credentials, another bucket, no prefix: where model weights may lie.
    pub fn bucket(&self, bucket: &str) -> Result<Self> {
        let settings = Settings {
            bucket: bucket.to_owned(),
            prefix: String::new(),
            ..self.inner.settings.clone()
        };
        settings.check()?;
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                client: self.inner.client.clone(),
                public: self.inner.public.clone(),
            }),
        })
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }
}

impl Inner {
    /// The key as the server knows it.
    pub(crate) fn full(&self, key: &Key) -> String {
        self.full_text(key.as_str())
    }

    /// A key or a prefix as the server knows it.
    pub(crate) fn full_text(&self, key: &str) -> String {
        if self.settings.prefix.is_empty() {
            key.to_owned()
        } else {
            format!("{}/{key}", self.settings.prefix)
        }
    }

    /// What of the server's key is ours; none when it lies outside our prefix.
    pub(crate) fn ours<'a>(&self, full: &'a str) -> Option<&'a str> {
        if self.settings.prefix.is_empty() {
            return Some(full);
        }
        full.strip_prefix(&self.settings.prefix)?.strip_prefix('/')
    }

    /// Runs an operation under its deadline and counts it.
    pub(crate) async fn timed<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let after = self.settings.timeouts.operation;
        let done = match tokio::time::timeout(after, work).await {
            Ok(done) => done,
            Err(_) => Err(Error::Timeout { operation, after }),
        };
        let outcome = match &done {
            Ok(_) => "ok",
            Err(error) => error.outcome(),
        };
        metrics::counter!("limekiln_blob_requests_total", "operation" => operation, "outcome" => outcome)
            .increment(1);
        metrics::histogram!("limekiln_blob_request_seconds", "operation" => operation)
            .record(began.elapsed());
        done
    }
}

async fn config(settings: &Settings) -> aws_sdk_s3::Config {
    let timeouts = &settings.timeouts;
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .force_path_style(settings.path_style)
        // A bucket that looks like an S3 Express one is still asked as any other.
        .disable_s3_express_session_auth(true)
        // Servers that are not AWS stumble over the newer checksums; puts are guarded by the signature's SHA-256 and
        // gets by BLAKE3.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // Every wait of ours has its own limit.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(timeouts.connect)
                .operation_attempt_timeout(timeouts.attempt)
                .operation_timeout(timeouts.operation)
                .build(),
        )
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(settings.attempts.max(1))
                .with_initial_backoff(Duration::from_millis(100))
                .with_max_backoff(Duration::from_secs(2)),
        );
    if let Some(endpoint) = &settings.endpoint {
        config = config.endpoint_url(endpoint_text(endpoint));
    }
    let plain = settings
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.scheme() == "http");
    let region = settings.region.clone().map(Region::new);
    if let Some(credentials) = &settings.credentials {
        config = config
            .http_client(http_client(plain))
            .region(region.unwrap_or_else(|| Region::from_static(REGION)))
            .credentials_provider(aws_sdk_s3::config::Credentials::new(
                &credentials.access_key,
                &credentials.secret_key,
                None,
                None,
                "settings",
            ));
        return config.build();
    }
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).http_client(http_client(false));
    if let Some(region) = region {
        loader = loader.region(region);
    }
    let shared = loader.load().await;
    if plain {
        config = config.http_client(http_client(true));
    } else if let Some(client) = shared.http_client() {
        config = config.http_client(client);
    }
    let region = shared
        .region()
        .cloned()
        .unwrap_or_else(|| Region::from_static(REGION));
    config = config.region(region);
    if let Some(provider) = shared.credentials_provider() {
        config = config.credentials_provider(provider);
    }
    if let Some(cache) = shared.identity_cache() {
        config = config.identity_cache(cache);
    }
    config.build()
}

/// Without TLS no root certificates are read.
fn http_client(plain: bool) -> aws_sdk_s3::config::SharedHttpClient {
    let builder = aws_smithy_http_client::Builder::new();
    if plain {
        return builder.build_http();
    }
    builder
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https()
}

/// The SDK wants a bare host without a slash, and a path with one.
fn endpoint_text(endpoint: &url::Url) -> String {
    let bare = endpoint.as_str().trim_end_matches('/');
    if endpoint.path() == "/" {
        bare.to_owned()
    } else {
        format!("{bare}/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn prefixes_go_on_and_come_off() {
        let mut settings = Settings::new(Some("http://127.0.0.1:9".parse().unwrap()), "kiln");
        settings.credentials = Some(crate::Credentials {
            access_key: "a".to_owned(),
            secret_key: "b".to_owned(),
        });
        settings.prefix = "staging/one".to_owned();
        let blobs = Blobs::connect(&settings).await.unwrap();
        let key: Key = "t/x".parse().unwrap();
        assert_eq!(blobs.inner.full(&key), "staging/one/t/x");
        assert_eq!(blobs.inner.ours("staging/one/t/x"), Some("t/x"));
        assert_eq!(blobs.inner.ours("staging/onet/x"), None);
        assert_eq!(blobs.inner.ours("t/x"), None);
        assert_eq!(blobs.bucket("other").unwrap().inner.full(&key), "t/x");
        assert!(blobs.bucket("No Bucket").is_err());
    }
}
