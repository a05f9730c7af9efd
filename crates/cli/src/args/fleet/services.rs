//! Where Postgres, RabbitMQ and S3 are.

use std::time::Duration;

use clap::Args;
use url::Url;

/// Where Postgres is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Services")]
pub(crate) struct DatabaseArgs {
    /// Postgres 14 or later, such as postgres://user:password@host:5432/limekiln
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database: Option<String>,

    /// Most connections to Postgres that this process opens
    #[arg(long, value_name = "N", env = "LIMEKILN_DATABASE_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) database_connections: u32,
}

/// Where the bucket is; credentials come from the usual chain (AWS_ACCESS_KEY_ID, profiles, web identity, instance).
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Services")]
pub(crate) struct S3Args {
    /// S3 server, such as http://host:9000 [default: Amazon's, of the region]
    #[arg(long, value_name = "URL", env = "S3_ENDPOINT")]
    pub(crate) s3_endpoint: Option<Url>,

    /// The S3 server as clients reach it, for download links [default: as --s3-endpoint]
    #[arg(long, value_name = "URL", env = "S3_PUBLIC_ENDPOINT")]
    pub(crate) s3_public_endpoint: Option<Url>,

    /// Bucket of images, results and checkpoints
    #[arg(
        long,
        value_name = "NAME",
        env = "S3_BUCKET",
        default_value = "limekiln"
    )]
    pub(crate) s3_bucket: String,

    /// Put before every key, such as `staging`: fleets that share a bucket need one each [default: none]
    #[arg(
        long,
        value_name = "PREFIX",
        env = "S3_PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) s3_prefix: String,

    /// Region of the bucket [default: as the SDK finds it: AWS_REGION, the profile, on AWS the instance; else us-east-1]
    #[arg(long, value_name = "REGION")]
    pub(crate) s3_region: Option<String>,
}

/// Where the three services are.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Services")]
pub(crate) struct ServicesArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,

    /// RabbitMQ 3.10 or later, such as amqp://user:password@host:5672/%2f
    #[arg(long, value_name = "URL", env = "AMQP_URL", hide_env_values = true)]
    pub(crate) amqp: Option<String>,

    #[command(flatten)]
    pub(crate) s3: S3Args,
}

/// Parses `1500ms`, `15s`, `10min`, `30d`.
///
/// # Errors
///
/// What is wrong with the text.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 15s or 30d"))
}
