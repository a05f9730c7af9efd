//! `limekiln coordinate`: runs a coordinator.

use anyhow::Result;
use limekiln_coordinator::Settings;
use tokio_util::sync::CancellationToken;

use super::services::{Services, process_name};
use super::status;
use super::telemetry::Telemetry;
use crate::args::{CoordinateArgs, RetentionArgs};

/// Runs a coordinator until `shutdown`.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(
    args: &CoordinateArgs,
    telemetry: &Telemetry,
    shutdown: CancellationToken,
) -> Result<()> {
    let services =
        Services::connect(&args.services, &process_name("coordinate"), &shutdown).await?;
    let metrics = telemetry.metrics.clone();
    let started = CancellationToken::new();
    started.cancel();
    status::start(
        args.status.status,
        metrics,
        services.clone(),
        started,
        shutdown.clone(),
    )
    .await?;
    tracing::info!("coordinator");
    let Services {
        store,
        broker,
        blobs,
    } = services;
    let mut settings = settings(&args.retention);
    settings.bulk_wait = args.sharing.bulk_wait;
    settings.asides_most = args.sharing.step_aside;
    Ok(limekiln_coordinator::run(settings, store, broker, blobs, shutdown).await?)
}

/// The coordinator's settings, from the arguments on retention and webhooks.
pub(super) fn settings(args: &RetentionArgs) -> Settings {
    let mut settings = Settings::default();
    settings.retention.events = args.keep_events;
    settings.retention.checkpoints = args.keep_checkpoints;
    settings.retention.edits = args.keep_edits.0;
    settings.retention.catalogs = args.keep_catalogs.0;
    settings.retention.sessions = args.keep_sessions.0;
    settings.retention.images = args.keep_images.0;
    settings.retention.intermediate_bytes = u64::from(args.keep_intermediates_mib) << 20;
    settings.retention.sweep_every = args.sweep_every;
    settings.retention.sweep_grace = args.sweep_grace;
    settings.webhooks.allow_private = args.webhooks_private;
    settings
}
