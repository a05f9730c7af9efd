//! `limekiln dev`: gateway, coordinator and worker in one process, on a data folder.
//!
//! - `own_services`: Postgres, broker and blobs of this process, or those that the flags name

mod own_services;

pub(crate) use own_services::unpacked;

use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use limekiln_jobs::api::Role;
use limekiln_store::{Limits, Store};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::services::Services;
use super::telemetry::Telemetry;
use super::{coordinate, serve, work};
use crate::args::{DevArgs, Downloads};
use crate::output::{self, print};
use crate::tokenizers::Tokenizers;

/// How long the link to the page waits for its use.
const LINK_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// The name of the tenant that `dev` creates.
const TENANT: &str = "dev";
/// Limits that one machine never reaches.
const LIMITS: Limits = Limits {
    rate_per_second: 1e5,
    rate_burst: 1_000_000,
    in_flight: 1_000_000,
    requests_per_second: 1e5,
    requests_burst: 1_000_000,
    upload_bytes_daily: None,
    stored_bytes: None,
    attempts: 5,
};

/// Runs everything until `shutdown`.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(
    args: &DevArgs,
    telemetry: &Telemetry,
    shutdown: CancellationToken,
) -> Result<()> {
    let named = own_services::named(args)?;
    let served_as = args.served.served_as.as_deref();
    let editor = work::EditorPlan::new(&args.model, &args.editor, served_as)?;
    own_services::variables_ignored();
    let _lock = lock(&args.data)?;
    // A folder in use or a port in use is reported before anything slow starts.
    let mut api = args.api.clone();
    api.downloads = api.downloads.or(Some(Downloads::Proxy));
    let listener = serve::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await?;
    let address = listener.local_addr()?;

    let (postgres, services) = if named {
        (None, own_services::connect(args).await?)
    } else {
        let (postgres, services) = own_services::built_in(args).await?;
        (Some(postgres), services)
    };
    api.models = vec![editor.model_name.to_string()];
    let tokenizers = Tokenizers::default();
    let mut settings = serve::settings(&api)?;
    settings.length = Some(tokenizers.length());
    // One port, on loopback, for one tenant.
    settings.admin_public = true;
    settings.status_public = true;
    settings.limits.tenant_share = 1.0;
    settings.fetch.allow_private = true;
    let key = key(&services.store, &args.data).await?;
    let link = link(&services.store, &key).await?;

    let cache = args.cache();
    let worker_settings = work::settings(&editor, &args.lease, &args.editor, "dev", cache);
    let mut coordinator_settings = coordinate::settings(&args.retention);
    coordinator_settings.webhooks.allow_private = true;
    // An S3 that is somebody else's may hold more than this database knows of. The folder is ours alone, and no operator could
    // be asked about it.
    coordinator_settings.retention.sweep = !named;
    coordinator_settings.retention.orphans_most = 1.0;
    let parts = {
        let Services {
            store,
            broker,
            blobs,
        } = services.clone();
        let coordinator = limekiln_coordinator::run(
            coordinator_settings,
            store.clone(),
            broker.clone(),
            blobs.clone(),
            shutdown.clone(),
        );
        let worker = limekiln_worker::run(
            worker_settings,
            store,
            broker,
            blobs,
            editor.factory(tokenizers),
            shutdown.clone(),
        );
        let gateway = limekiln_gateway::serve(
            listener,
            serve::state(&services, settings, telemetry),
            shutdown.clone(),
        );
        async {
            tokio::try_join!(
                async { coordinator.await.map_err(anyhow::Error::from) },
                async { worker.await.map_err(anyhow::Error::from) },
                async { gateway.await.map_err(anyhow::Error::from) },
            )
        }
    };
    greet(args, address, &key, &link);
    let outcome = parts.await;
    services.broker.close().await;
    services.store.close().await;
    let stop = move || drop(postgres);
    if let Err(error) = tokio::task::spawn_blocking(stop).await {
        tracing::error!(%error, "the embedded Postgres did not stop in order");
    }
    outcome.map(drop)
}

/// Locks the folder, so that no second process uses it. The lock lasts as long as the returned file.
fn lock(folder: &Path) -> Result<File> {
    output::folder_make(folder)?;
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "{}: another `limekiln dev` uses this folder: stop it, or name another with --data",
            folder.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).context(path.display().to_string()),
    }
}

/// The folder's own key: that of the last start if it still works, else a new one.
async fn key(store: &Store, folder: &Path) -> Result<String> {
    let path = folder.join("key");
    let tenant = match store.tenant_by_name(TENANT).await? {
        Some(tenant) => {
            // A folder of an earlier version: limits that came later have their defaults.
            let (limits, default) = (&tenant.limits, Limits::default());
            if limits.requests_per_second == default.requests_per_second
                && limits.requests_burst == default.requests_burst
            {
                let limits = Limits {
                    requests_per_second: LIMITS.requests_per_second,
                    requests_burst: LIMITS.requests_burst,
                    ..limits.clone()
                };
                store.tenant_limits_set(tenant.id, &limits).await?;
            }
            tenant
        }
        None => store.tenant_create(TENANT, &LIMITS).await?,
    };
    if let Ok(key) = fs::read_to_string(&path)
        && store.key_find(key.trim()).await?.is_some()
    {
        return Ok(key.trim().to_owned());
    }
    let key = store
        .key_create(tenant.id, Role::Admin, "limekiln dev")
        .await?;
    let secret = key.secret.expose().to_owned();
    output::write_private(&path, secret.as_bytes())?;
    Ok(secret)
}

/// A link's secret, which signs in to the page once, within a day.
async fn link(store: &Store, key: &str) -> Result<String> {
    let caller = store.key_find(key).await?;
    let caller = caller.context("the key of the data folder was revoked meanwhile: start again")?;
    let link = store.sign_in_link(caller.key, LINK_LIFETIME).await?;
    Ok(link.expose().to_owned())
}

/// Prints where the page and the API are and how to begin.
fn greet(args: &DevArgs, address: SocketAddr, key: &str, link: &str) {
    let url = format!("http://{address}");
    // Behind the #, where no log and no proxy sees it.
    let page = format!("{url}/#link={link}");
    if args.json {
        print(&json!({ "url": url, "key": key, "page": page }).to_string());
        return;
    }
    print(&format!(
        "
Limekiln is up. Edit pictures in a browser, signed in by this link, once:
  {page}

The API: {url}      explained: {url}/docs
Key: {key}      data: {data}

  limekiln rooms --count 1 --out rooms       # a picture that the built-in model knows
  export LIMEKILN_KEY={key}
  limekiln submit rooms/00000-input.png \"make the sofa teal\"{port}

or with curl:
  IMAGE=$(curl -s {url}/v1/images -H \"Authorization: Bearer $LIMEKILN_KEY\" -H 'Content-Type: image/png' --data-binary @rooms/00000-input.png | sed 's/.*\"id\":\"\\([^\"]*\\).*/\\1/')
  curl -s {url}/v1/edits -H \"Authorization: Bearer $LIMEKILN_KEY\" -H 'Content-Type: application/json' -d '{{\"image\":\"'$IMAGE'\",\"instruction\":\"make the sofa teal\"}}'

Ctrl-C stops it; everything is kept.",
        data = args.data.display(),
        port = if address.port() == 8080 { String::new() } else { format!(" --url {url}") },
    ));
}
