//! Telemetry: logs to stderr, spans to a collector, metrics for `/metrics`.

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::args::{LogFormat, TelemetryArgs};
use crate::settings::Usage;

/// Bucket bounds of every histogram in seconds: they resolve a statement's milliseconds and an edit's minutes.
const SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Crates whose errors our own logs report, or that log too much. A filter on the command line overrides this.
const QUIET: &str = "lapin=off";
/// `bench` also silences the worker, since a log line for every edit would slow down what is measured, and the warnings
/// about slow statements, since filling tables takes long.
const QUIET_BENCH: &str = "lapin=off,sqlx=error,limekiln_store=warn,limekiln_worker=warn";

/// The telemetry that was started. Dropping it sends the last spans.
pub(crate) struct Telemetry {
    /// Renders the answer of `/metrics`.
    pub(crate) metrics: PrometheusHandle,
    spans: Option<SdkTracerProvider>,
}

/// Starts logs, metrics and, where a collector is named, spans. Called outside the async runtime, because the exporter
/// blocks on a thread of its own.
///
/// # Errors
///
/// [`Usage`] for a filter that can't be parsed; else what the exporter reports.
pub(crate) fn start(args: &TelemetryArgs, command: &'static str) -> Result<Telemetry> {
    let quiet = match command {
        "bench" => QUIET_BENCH,
        _ => QUIET,
    };
    let filter = EnvFilter::try_new(format!("{quiet},{}", args.log))
        .map_err(|error| Usage(format!("--log: {error}")))?;
    let spans = args
        .otlp
        .as_deref()
        .filter(|url| !url.is_empty())
        .map(|url| exporter(url, command))
        .transpose()?;
    let lines = match args.log_format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let traces = spans
        .as_ref()
        .map(|spans| tracing_opentelemetry::layer().with_tracer(spans.tracer("limekiln")));
    tracing_subscriber::registry()
        .with(traces)
        .with(lines)
        .with(filter)
        .try_init()
        .context("logs can't be started")?;
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()
        .context("metrics can't be started")?;
    Ok(Telemetry { metrics, spans })
}

fn exporter(url: &str, command: &'static str) -> Result<SdkTracerProvider> {
    let endpoint = format!("{}/v1/traces", url.trim_end_matches('/'));
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_headers(Default::default())
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("--otlp: spans can't be sent to {url}"))?;
    Ok(SdkTracerProvider::builder()
        .with_resource(
            Resource::builder()
                .with_service_name(format!("limekiln-{command}"))
                .build(),
        )
        .with_batch_exporter(exporter)
        .build())
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(spans) = &self.spans
            && let Err(error) = spans.shutdown()
        {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
