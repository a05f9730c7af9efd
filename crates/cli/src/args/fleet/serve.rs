//! `limekiln serve`.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use limekiln_gateway::Origin;
use url::Url;

use super::{ServicesArgs, TelemetryArgs};
use crate::args::BoundsArgs;

/// Run the gateway: the HTTP API
///
/// Needs Postgres, RabbitMQ and S3. Run as many as you like behind a load balancer; limits are exact across them.
/// Metrics, health in detail and the admin routes are on a port of their own (--status). On SIGTERM it takes no new connections and finishes the requests under way.
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

    /// Serve /metrics, /healthz, /readyz in detail and, for operators, /v1/admin and the page /fleet here; keep it away from strangers
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "LIMEKILN_STATUS",
        default_value = "127.0.0.1:9090"
    )]
    pub(crate) status: SocketAddr,

    /// Serve /v1/admin and /fleet on --listen too; it asks for a key of the role admin in either place
    #[arg(long, env = "LIMEKILN_ADMIN_PUBLIC")]
    pub(crate) admin_public: bool,

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

    /// Origins whose pages may use the API from browsers, such as https://shop.example, or * for any [default: none]
    ///
    /// Pages send their key in a header; the API knows no cookies.
    #[arg(
        long,
        value_name = "ORIGIN,..",
        env = "LIMEKILN_CORS",
        value_delimiter = ','
    )]
    pub(crate) cors: Vec<Origin>,

    /// Largest image file that is accepted, in MiB
    #[arg(long, value_name = "MIB", env = "LIMEKILN_UPLOAD_MIB", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) upload_mib: u32,

    /// Largest file of requests for /v1/batches that is accepted, in MiB
    #[arg(long, value_name = "MIB", env = "LIMEKILN_BATCH_MIB", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) batch_mib: u32,

    /// Requests a second to each host that pictures of catalogs are fetched from
    #[arg(long, value_name = "RATE", env = "LIMEKILN_FETCH_RATE", default_value_t = 20.0, value_parser = crate::args::number::rate)]
    pub(crate) fetch_rate: f64,

    /// Fetch pictures of catalogs from private and loopback addresses, too, where `limekiln tenants allow` names them
    #[arg(long, env = "LIMEKILN_FETCH_PRIVATE")]
    pub(crate) fetch_private: bool,

    #[command(flatten)]
    pub(crate) bounds: BoundsArgs,

    /// Memory for images that come in and go out, in MiB, all requests together. A request waits for its share, and is told to
    /// come back when that takes long
    #[arg(long, value_name = "MIB", env = "LIMEKILN_UPLOAD_MEMORY_MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub(crate) upload_memory_mib: u32,

    /// Memory for results that were made in another format or size, in MiB: kept for some minutes, so that downloads in parts and
    /// repeated ones need not make them again. 0 keeps none
    #[arg(long, value_name = "MIB", env = "LIMEKILN_RESULT_MEMORY_MIB", default_value_t = 128, value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    pub(crate) result_memory_mib: u32,

    /// The part of a gateway's requests, streams and waits that one tenant may hold; 1 for a fleet of one tenant
    #[arg(long, value_name = "PART", env = "LIMEKILN_TENANT_SHARE", default_value_t = 0.25, value_parser = crate::args::number::share)]
    pub(crate) tenant_share: f64,
}

/// How results reach clients.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Downloads {
    /// Answer 307 with a signed S3 link: no image passes through the gateway
    Redirect,
    /// Send results through the gateway: for clients that can't reach S3
    Proxy,
}
