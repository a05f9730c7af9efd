//! `limekiln tenants`: lists, shows and erases tenants.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use limekiln_jobs::Retryable as _;
use limekiln_jobs::api::SourceRequest;
use limekiln_store::{SOURCES_MAX, Source, Store, Tenant, TenantCounts};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::services;
use crate::args::{
    Tenants, TenantsAllowArgs, TenantsEraseArgs, TenantsForbidArgs, TenantsListArgs,
    TenantsShowArgs,
};
use crate::output::print;
use crate::settings::Usage;

/// Pause between two looks at how far the coordinators are.
const LOOK: Duration = Duration::from_secs(2);
/// Nothing happened for this long: no coordinator seems to run.
const STILL: Duration = Duration::from_secs(30);

/// Lists, shows or erases tenants.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(command: &Tenants, shutdown: &CancellationToken) -> Result<()> {
    match command {
        Tenants::List(args) => list(args).await,
        Tenants::Show(args) => show(args).await,
        Tenants::Erase(args) => erase(args, shutdown).await,
        Tenants::Allow(args) => allow(args).await,
        Tenants::Forbid(args) => forbid(args).await,
    }
}

async fn list(args: &TenantsListArgs) -> Result<()> {
    let store = services::store(&args.database).await?;
    store.schema_check().await?;
    for tenant in store.tenant_list().await? {
        print(&if args.json {
            described(&tenant).to_string()
        } else {
            let erasing = if tenant.erasing_at.is_some() {
                "  being erased"
            } else {
                ""
            };
            format!("{}  {}{erasing}", tenant.id, tenant.name)
        });
    }
    Ok(())
}

async fn show(args: &TenantsShowArgs) -> Result<()> {
    let store = services::store(&args.database).await?;
    store.schema_check().await?;
    let tenant = find(&store, &args.name).await?;
    let counts = store.tenant_counts(tenant.id).await?;
    let sources = store.sources(tenant.id).await?;
    let places: Vec<&str> = sources.iter().map(|source| source.place.as_str()).collect();
    let mut shown = described(&tenant);
    shown["pictures_from"] = json!(places);
    shown["has"] = json!({
        "keys": counts.keys,
        "images": counts.images,
        "image_bytes": counts.image_bytes,
        "edits": counts.edits,
        "unfinished": counts.unfinished,
        "result_bytes": counts.result_bytes,
        "sessions": counts.sessions,
    });
    print(&if args.json {
        shown.to_string()
    } else {
        let limits = &tenant.limits;
        let from = match places.is_empty() {
            true => String::new(),
            false => format!("\npictures may be fetched from: {}", places.join(", ")),
        };
        let erasing = if tenant.erasing_at.is_some() {
            "\nit is being erased"
        } else {
            ""
        };
        format!(
            "{}  {}\nlimits: {} edits a second, {} at once, {} queued and running at a time\nhas: {}{from}{erasing}",
            tenant.id,
            tenant.name,
            limits.rate_per_second,
            limits.rate_burst,
            limits.in_flight,
            sentence(&counts)
        )
    });
    Ok(())
}

async fn allow(args: &TenantsAllowArgs) -> Result<()> {
    let request = SourceRequest {
        place: args.place.clone(),
        endpoint: args.endpoint.clone(),
        region: args.region.clone(),
        access_key: args.access_key.clone(),
        secret_key: args.secret_key.clone(),
    };
    let place = request.check().map_err(|error| {
        let named = error.field.replace('_', "-");
        Usage(match named.as_str() {
            "place" => format!("{}: {}", args.place, error.message),
            name => format!("--{name}: {}", error.message),
        })
    })?;
    let store = services::store(&args.database).await?;
    store.schema_check().await?;
    let tenant = find(&store, &args.name).await?;
    let source = Source::asked(request, &place);
    let Some(source) = store.source_put(tenant.id, &source).await? else {
        bail!(
            "{} has {SOURCES_MAX} places already, or is being erased",
            args.name
        );
    };
    print(&format!(
        "pictures of {} may be fetched from {}",
        tenant.name, source.place
    ));
    Ok(())
}

async fn forbid(args: &TenantsForbidArgs) -> Result<()> {
    let store = services::store(&args.database).await?;
    store.schema_check().await?;
    let tenant = find(&store, &args.name).await?;
    let sources = store.sources(tenant.id).await?;
    let source = sources.iter().find(|source| source.place == args.place);
    let source = source.with_context(|| {
        let name = &tenant.name;
        format!(
            "{name} has no place {}: `limekiln tenants show {name}` lists them",
            args.place
        )
    })?;
    store.source_delete(source.id).await?;
    print(&format!(
        "pictures of {} are fetched from {} no more",
        tenant.name, source.place
    ));
    Ok(())
}

async fn erase(args: &TenantsEraseArgs, shutdown: &CancellationToken) -> Result<()> {
    let store = services::store(&args.database).await?;
    store.schema_check().await?;
    let tenant = find(&store, &args.name).await?;
    if tenant.erasing_at.is_none() {
        let counts = counted(&store, &tenant).await?;
        print(&format!(
            "to erase {} ({}): {}",
            tenant.name,
            tenant.id,
            counts.map_or_else(
                || "more than can be counted in time".to_owned(),
                |counts| sentence(&counts)
            )
        ));
        if !args.yes {
            let name = tenant.name.clone();
            // A thread of its own, so that ctrl-c is heard.
            let asked = tokio::task::spawn_blocking(move || confirm(&name));
            tokio::select! {
                answer = asked => answer??,
                () = shutdown.cancelled() => bail!("nothing was erased"),
            }
        }
        store.tenant_erase(tenant.id).await?;
    }
    if args.no_wait {
        print("its keys are revoked; the coordinators erase the rest");
        return Ok(());
    }
    tokio::select! {
        done = wait(&store, &tenant) => done,
        () = shutdown.cancelled() => bail!("stopped waiting; the coordinators go on erasing {}", tenant.name),
    }
}

/// Waits until the tenant's row is gone, which is the last one.
async fn wait(store: &Store, tenant: &Tenant) -> Result<()> {
    let (mut last, mut since) = (None, Instant::now());
    while store.tenant_get(tenant.id).await?.is_some() {
        let left = counted(store, tenant).await?;
        if let Some(left) = left
            && last != Some(left)
        {
            eprintln!("left: {}", sentence(&left));
            (last, since) = (Some(left), Instant::now());
        } else if left.is_some() && since.elapsed() > STILL {
            eprintln!(
                "nothing happens: does a coordinator run (`limekiln coordinate`)? it does the erasing"
            );
            since = Instant::now();
        }
        tokio::time::sleep(LOOK).await;
    }
    print(&format!(
        "{} is erased; its files go from the bucket within minutes",
        tenant.name
    ));
    Ok(())
}

/// What the tenant has. None where Postgres takes too long to count it, which must not keep it from being erased.
async fn counted(store: &Store, tenant: &Tenant) -> Result<Option<TenantCounts>> {
    match store.tenant_counts(tenant.id).await {
        Ok(counts) => Ok(Some(counts)),
        Err(error) if error.is_transient() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Has the name typed once more.
fn confirm(name: &str) -> Result<()> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        bail!("nobody is there to ask: add --yes to erase {name}");
    }
    eprint!("there is no way back. Type the name of the tenant to erase it: ");
    std::io::stderr().flush().context("can't ask")?;
    let mut line = String::new();
    stdin
        .lock()
        .read_line(&mut line)
        .context("can't read the answer")?;
    if line.trim_end_matches(['\r', '\n']) != name {
        bail!("that is not its name: nothing was erased");
    }
    Ok(())
}

async fn find(store: &Store, name: &str) -> Result<Tenant> {
    let found = store.tenant_by_name(name).await?;
    found.with_context(|| {
        format!("there is no tenant named {name}: `limekiln tenants list` shows them")
    })
}

fn described(tenant: &Tenant) -> Value {
    json!({
        "id": tenant.id,
        "name": tenant.name,
        "rate": tenant.limits.rate_per_second,
        "burst": tenant.limits.rate_burst,
        "in_flight_limit": tenant.limits.in_flight,
        "in_flight": tenant.in_flight,
        "erasing": tenant.erasing_at.is_some(),
    })
}

fn sentence(counts: &TenantCounts) -> String {
    let mib = (counts.image_bytes + counts.result_bytes) as f64 / f64::from(1 << 20);
    format!(
        "{} keys, {} images, {} edits ({} of them not ended), {} sessions, {mib:.1} MiB of pictures and results",
        counts.keys, counts.images, counts.edits, counts.unfinished, counts.sessions
    )
}
