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

    /// Format of the logs, which go to stderr
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

/// Format of the logs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line for each record, for people
    Text,
    /// One JSON object for each record, for collectors
    Json,
}

/// Where a process without an API of its own serves health and metrics.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry")]
pub(crate) struct StatusArgs {
    /// Serve /metrics, /healthz and /readyz here, such as 0.0.0.0:9090 [default: nowhere]
    #[arg(long, value_name = "ADDRESS", env = "LIMEKILN_STATUS")]
    pub(crate) status: Option<SocketAddr>,
}
