//! `limekiln serve`.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use url::Url;

use super::{ServicesArgs, TelemetryArgs};

/// Run the gateway: the HTTP API
///
/// Needs Postgres, RabbitMQ and S3. Run as many as you like behind a load balancer; limits are exact across them.
/// Serves /metrics, /healthz and /readyz on the same port. On SIGTERM it takes no new connections and finishes the requests under way.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Address to listen on
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "LIMEKILN_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: SocketAddr,

    #[command(flatten)]
    pub(crate) api: ApiArgs,
    #[command(flatten)]
    pub(crate) services: ServicesArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// What the API offers to clients.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "API")]
pub(crate) struct ApiArgs {
    /// Models that edits may name; the first is the default
    #[arg(
        long,
        value_name = "NAME,..",
        env = "LIMEKILN_MODELS",
        default_value = "rooms",
        value_delimiter = ','
    )]
    pub(crate) models: Vec<String>,

    /// How results reach clients: by a redirect to a signed S3 link, or through the gateway
    /// [default: redirect; proxy in `limekiln dev`]
    #[arg(long, value_name = "HOW", env = "LIMEKILN_DOWNLOADS")]
    pub(crate) downloads: Option<Downloads>,

    /// The API's own address as clients reach it, for links in answers
    #[arg(long, value_name = "URL", env = "LIMEKILN_PUBLIC_URL")]
    pub(crate) public_url: Option<Url>,

    /// Largest image file that is accepted, in MiB
    #[arg(long, value_name = "MIB", env = "LIMEKILN_UPLOAD_MIB", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) upload_mib: u32,

    /// Memory for images that come in and go out, in MiB, all requests together. A request waits for its share, and is told to
    /// come back when that takes long
    #[arg(long, value_name = "MIB", env = "LIMEKILN_UPLOAD_MEMORY_MIB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub(crate) upload_memory_mib: u32,
}

/// How results reach clients.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Downloads {
    /// Answer 307 with a signed S3 link: no image passes through the gateway
    Redirect,
    /// Send results through the gateway: for clients that can't reach S3
    Proxy,
}
