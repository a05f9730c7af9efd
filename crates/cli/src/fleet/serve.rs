//! `limekiln serve`: runs a gateway.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use limekiln_coordinator::Submitter;
use limekiln_gateway::{Downloads, Settings, State};
use limekiln_jobs::ModelName;
use limekiln_lime::Preset;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::services::{Services, process_name};
use super::status;
use super::telemetry::Telemetry;
use crate::args::{self, ApiArgs, ServeArgs};
use crate::settings::Usage;
use crate::tokenizers::Tokenizers;

/// Runs a gateway until `shutdown`.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(
    args: &ServeArgs,
    telemetry: &Telemetry,
    shutdown: CancellationToken,
) -> Result<()> {
    let mut settings = settings(&args.api)?;
    settings.admin_public = args.admin_public;
    settings.length = Some(Tokenizers::built_in()?.length());
    let services =
        Services::connect_gateway(&args.services, &process_name("serve"), &shutdown).await?;
    let listener = listen(args.listen).await?;
    let status_listener = status::listen(args.status).await?;
    tracing::info!(address = %listener.local_addr()?, status = %status_listener.local_addr()?, "gateway");
    let state = state(&services, settings, telemetry);
    let operators = limekiln_gateway::operator_router(state.clone());
    status::serve(status_listener, operators, shutdown.clone());
    Ok(limekiln_gateway::serve(listener, state, shutdown).await?)
}

/// Binds the address.
///
/// # Errors
///
/// When another process has the address.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("can't listen on {address}: choose another port"))
}

/// What the gateway's routes share.
pub(super) fn state(services: &Services, settings: Settings, telemetry: &Telemetry) -> State {
    let Services {
        store,
        broker,
        blobs,
    } = services.clone();
    let submitter = Submitter::new(store.clone(), broker.clone());
    let services = limekiln_gateway::Services {
        store,
        broker,
        blobs,
        submitter,
        metrics: Some(telemetry.metrics.clone()),
    };
    State::new(services, settings)
}

/// The gateway's settings, from the arguments on the API.
///
/// # Errors
///
/// [`Usage`] for a model name that can't be one.
pub(super) fn settings(args: &ApiArgs) -> Result<Settings> {
    let models = args
        .models
        .iter()
        .map(|name| name.parse::<ModelName>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Usage(format!("--models: {error}")))?;
    let first = models
        .first()
        .cloned()
        .ok_or_else(|| Usage("--models: name at least one".to_owned()))?;
    let mut settings = Settings::new(first);
    settings.models = models;
    settings.resolve = Some(Arc::new(limekiln_worker::resolve));
    settings.public_url = args.public_url.clone();
    settings.origins.clone_from(&args.cors);
    settings.presets = Preset::NAMES.map(str::to_owned).to_vec();
    settings.limits.upload_bytes = (args.upload_mib as usize) << 20;
    settings.limits.file_bytes = u64::from(args.batch_mib) << 20;
    settings.fetch.per_second = args.fetch_rate;
    settings.fetch.allow_private = args.fetch_private;
    settings.limits.side_max = args.bounds.side_max;
    settings.limits.pixels_max = args.bounds.pixels_max();
    settings.limits.upload_memory_bytes = (args.upload_memory_mib as usize) << 20;
    settings.limits.made_bytes = u64::from(args.result_memory_mib) << 20;
    settings.limits.tenant_share = args.tenant_share;
    settings.downloads = match args.downloads {
        Some(args::Downloads::Proxy) => Downloads::Proxy,
        Some(args::Downloads::Redirect) | None => Downloads::Redirect,
    };
    Ok(settings)
}
