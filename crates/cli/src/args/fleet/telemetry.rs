//! Logs, traces and metrics.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

/// Logs, traces and metrics.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry")]
pub(crate) struct TelemetryArgs {
    /// What to log: a level, or per module such as info,limekiln_broker=debug
    #[arg(
        long,
        value_name = "FILTER",
        env = "LIMEKILN_LOG",
        default_value = "info"
    )]
    pub(crate) log: String,

    /// How to write logs, to stderr
    #[arg(
        long,
        value_name = "FORMAT",
        env = "LIMEKILN_LOG_FORMAT",
        default_value = "text"
    )]
    pub(crate) log_format: LogFormat,

    /// Send traces to this OTLP collector over HTTP, such as http://collector:4318
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub(crate) otlp: Option<String>,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line a record, for people
    Text,
    /// One JSON object a record, for collectors
    Json,
}

/// Where a process without an API of its own says how it is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry")]
pub(crate) struct StatusArgs {
    /// Serve /metrics, /healthz and /readyz here, such as 0.0.0.0:9090 [default: nowhere]
    #[arg(long, value_name = "ADDRESS", env = "LIMEKILN_STATUS")]
    pub(crate) status: Option<SocketAddr>,
}
