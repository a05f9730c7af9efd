use std::{sync::Arc, time::Duration};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::tls;

use url::Url;

use crate::Settings;

/// The region where none is named: S3-compatible servers take any, and AWS creates buckets in this one without being told
/// where.
const REGION: &str = "us-east-1";

/// A bucket on an S3 server. Its clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct S3 {
    pub(super) settings: Arc<Settings>,
    pub(super) client: Client,
    /// Signs for the public endpoint; sends nothing.
    pub(super) public: Client,
}

impl S3 {
    /// A client with these settings, which must be good ones.
    pub(crate) async fn new(settings: &Settings) -> Self {
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
        Self {
            settings: Arc::new(settings.clone()),
            client: Client::from_conf(config),
            public,
        }
    }

    /// The same server and credentials, another bucket.
    pub(crate) fn bucket(&self, bucket: &str) -> Self {
        let settings = Settings {
            bucket: bucket.to_owned(),
            ..(*self.settings).clone()
        };
        Self {
            settings: Arc::new(settings),
            ..self.clone()
        }
    }

    /// Whether a bucket on that server is this one, by either name of the server.
    pub(crate) fn is_bucket(&self, endpoint: Option<&Url>, bucket: &str) -> bool {
        let end = |url: &Url| {
            (
                url.host().map(|host| host.to_owned()),
                url.port_or_known_default(),
            )
        };
        let same = |own: Option<&Url>| own.map(end) == endpoint.map(end);
        let public = self.settings.public_endpoint.as_ref();
        self.settings.bucket == bucket
            && (same(self.settings.endpoint.as_ref()) || public.is_some() && same(public))
    }

    /// Server and bucket in words.
    pub(crate) fn target(&self) -> String {
        let server = self.settings.endpoint.as_ref();
        let server = server.map_or("AWS".to_owned(), ToString::to_string);
        format!("bucket `{}` at {server}", self.settings.bucket)
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
        // Every wait of ours has a limit of its own.
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
    loader = match region {
        Some(region) => loader.region(region),
        // As the SDK's own chain, but that it asks no instance of Amazon's, which takes seconds where there is none.
        None if settings.endpoint.is_some() => loader.region(
            RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new())
                .or_else(Region::from_static(REGION)),
        ),
        None => loader,
    };
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
fn endpoint_text(endpoint: &Url) -> String {
    let bare = endpoint.as_str().trim_end_matches('/');
    if endpoint.path() == "/" {
        bare.to_owned()
    } else {
        format!("{bare}/")
    }
}
