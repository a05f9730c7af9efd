//! The services of `limekiln dev`: its own, or those that its flags name; and that they are no other fleet's.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use limekiln_blobs::{Blobs, Fsync};
use limekiln_broker::Broker;
use limekiln_store::{Embedded, Store, Unpacked};

use crate::args::{DevArgs, FlagsOnly, ServicesArgs};
use crate::fleet::services::{self, Services};
use crate::settings::Usage;

/// The file of the data folder that remembers the fleet's id.
const FLEET: &str = "fleet";
/// A disk that has less room than this is full: Postgres extends its files by a segment of its log, 16 MB, at a time.
const PROBE_BYTES: usize = 16 << 20;

/// Whether the flags name all three services; the built-in ones run when they name none.
///
/// # Errors
///
/// [`Usage`] when they name some of them.
pub(super) fn named(args: &DevArgs) -> Result<bool> {
    let services = &args.services.0;
    let flags = [
        ("--database", services.database.database.is_some()),
        ("--amqp", services.amqp.is_some()),
        ("--s3-endpoint", services.s3.s3_endpoint.is_some()),
    ];
    let missing: Vec<&str> = flags
        .iter()
        .filter(|(_, given)| !given)
        .map(|(flag, _)| *flag)
        .collect();
    match missing.len() {
        0 => Ok(true),
        3 => Ok(false),
        _ => Err(Usage(format!(
            "`limekiln dev` takes --database, --amqp and --s3-endpoint together or none of them: {} missing",
            match missing[..] {
                [one] => format!("{one} is"),
                _ => format!("{} are", missing.join(" and ")),
            }
        ))
        .into()),
    }
}

/// Where Postgres is unpacked.
///
/// # Errors
///
/// When the working folder is gone.
pub(crate) fn unpacked(args: &DevArgs) -> Result<Unpacked> {
    let cache = args.cache();
    let cache = std::path::absolute(&cache).with_context(|| cache.display().to_string())?;
    Ok(Unpacked::below(&cache))
}

/// Says which variables of a fleet are set and do nothing here.
pub(super) fn variables_ignored() {
    let names: Vec<String> = FlagsOnly::<ServicesArgs>::ignored()
        .into_iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    if !names.is_empty() {
        tracing::warn!(
            "{} ignored: `limekiln dev` takes services from its flags alone",
            match &names[..] {
                [one] => format!("{one} is set and"),
                _ => format!("{} are set and", names.join(", ")),
            }
        );
    }
}

/// Services of this process on the data folder.
///
/// # Errors
///
/// What is wrong with it, in one line. What Postgres says of a full disk is an error of input and output in some file of its own.
pub(super) async fn built_in(args: &DevArgs) -> Result<(Embedded, Services)> {
    let started = start(args).await;
    started.map_err(
        |error| match [&args.data, &args.cache()].map(|folder| room(folder)) {
            [Ok(()), Ok(())] => error,
            [Err(full), _] | [_, Err(full)] => full,
        },
    )
}

/// Fails where a folder's disk has no room for a little more. What else may be wrong with the folder, others say better.
fn room(folder: &Path) -> Result<()> {
    let mut probe = match tempfile::tempfile_in(folder) {
        Ok(probe) => probe,
        Err(error) if is_full(&error) => return Err(full(folder)),
        Err(_) => return Ok(()),
    };
    match probe.write_all(&vec![1; PROBE_BYTES]) {
        Err(error) if is_full(&error) => Err(full(folder)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn full(folder: &Path) -> anyhow::Error {
    anyhow!(
        "{}: no space is left on its disk: a first start takes some 150 MB; make room, or name other folders with --data and --cache, and \
         start again",
        folder.display()
    )
}

async fn start(args: &DevArgs) -> Result<(Embedded, Services)> {
    let folder = args.data.join("postgres");
    let unfinished = begin(&args.data, &folder)?;
    let unpacked = unpacked(args)?;
    let start = move || unpacked.start(&folder);
    let postgres = tokio::task::spawn_blocking(start).await??;
    let store = Store::connect(&postgres.settings()).await?;
    store.migrate().await?;
    remember(&store, &args.data).await?;
    if unfinished.exists() {
        fs::remove_file(&unfinished).with_context(|| unfinished.display().to_string())?;
    }
    // The folder is locked by this process, so whoever holds a lease died with the process before.
    let ended = store.leases_end_all().await?;
    if ended > 0 {
        tracing::info!(ended, "edits that a killed process was running go on");
    }
    let folder = args.data.join("s3");
    let blobs = Blobs::folder(&folder, &args.services.0.s3.s3_bucket, Fsync::Always).await?;
    blobs.bucket_ensure().await?;
    match limekiln_coordinator::claim(&store, &blobs).await {
        // A folder of before there were markers: database and blobs have always been together.
        Err(limekiln_coordinator::Error::Unclaimed { .. }) => {
            limekiln_coordinator::adopt(&store, &blobs, 1.0).await?;
        }
        Err(limekiln_coordinator::Error::Foreign { .. }) => bail!(
            "{}: s3 in it belongs to another database than postgres: put back the one that is missing, or move both away to begin anew",
            args.data.display()
        ),
        claimed => claimed?,
    }
    let services = Services {
        store,
        broker: Broker::local(),
        blobs,
    };
    Ok((postgres, services))
}

/// Notes that the database is being made, and removes one whose making was cut off, by a full disk say: nothing is in it, and
/// it need not start again. The note is at the path that is returned, until the database is whole.
fn begin(data: &Path, folder: &Path) -> Result<PathBuf> {
    let unfinished = data.join("postgres.unfinished");
    if unfinished.exists() && folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    if !folder.exists() {
        fs::write(&unfinished, "").with_context(|| unfinished.display().to_string())?;
    }
    Ok(unfinished)
}

/// The services that the flags name.
pub(super) async fn connect(args: &DevArgs) -> Result<Services> {
    let services = &args.services.0;
    let store = services::store(&services.database).await?;
    own(&store, &args.data).await?;
    store.migrate().await?;
    remember(&store, &args.data).await?;
    let broker = services::broker(services, "dev").await?;
    let blobs = services::blobs(&services.s3).await?;
    blobs.bucket_ensure().await?;
    limekiln_coordinator::claim(&store, &blobs).await?;
    Ok(Services {
        store,
        broker,
        blobs,
    })
}

/// Refuses a database that another fleet works on: `dev` would migrate it, make itself an admin's key and take its edits.
async fn own(store: &Store, folder: &Path) -> Result<()> {
    if store.server().await?.schema == 0 {
        return Ok(());
    }
    let found = store.fleet_if_migrated().await?.map(|id| id.to_string());
    let own = fs::read_to_string(folder.join(FLEET)).ok();
    if found.is_some() && found.as_deref() == own.as_deref().map(str::trim) {
        return Ok(());
    }
    bail!(
        "the database of --database belongs to {}, which the data folder {} did not make: give an empty database, or the folder that made this one",
        found.map_or("another fleet".to_owned(), |id| format!("fleet {id}")),
        folder.display()
    )
}

/// Writes down whose the folder is.
async fn remember(store: &Store, folder: &Path) -> Result<()> {
    let fleet = store.mark().await?.fleet.to_string();
    let path = folder.join(FLEET);
    if fs::read_to_string(&path).is_ok_and(|own| own.trim() == fleet) {
        return Ok(());
    }
    fs::write(&path, fleet).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_others() {
        let folder = tempfile::tempdir().unwrap();
        room(folder.path()).unwrap();
        room(&folder.path().join("nowhere")).unwrap();
        // Every write to it says that no space is left.
        let device = Path::new("/dev/full");
        if device.exists() {
            let error = fs::write(device, "x").unwrap_err();
            assert!(is_full(&error), "{error:?}");
        }
        let line = full(folder.path()).to_string();
        assert!(
            line.contains("no space is left") && !line.contains('\n'),
            "{line}"
        );
    }
}
