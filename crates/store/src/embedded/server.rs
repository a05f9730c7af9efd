//! The library's server on a folder, and a thread that starts it again.

use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use limekiln_jobs::retry::Policy;
use pglite_oxide::PgliteServer;

use crate::{Error, Result};

/// How often the server is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often one is started again that does not start, as on a full disk.
const AGAIN: Policy = Policy::new(LOOK_EVERY, Duration::from_secs(5));

pub(super) fn embedded(path: &Path, error: &dyn fmt::Display) -> Error {
    Error::Embedded(format!("{}: {error}", path.display()))
}

/// Where a database is made before it is moved to `dir`.
fn part_of(dir: &Path) -> PathBuf {
    let mut part = dir.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

fn is_new(dir: &Path) -> bool {
    match dir.read_dir() {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// A server on `dir`, which is made when it is missing: beside its place and moved there whole.
pub(super) fn start(dir: &Path) -> Result<PgliteServer> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    if is_new(dir) {
        let part = part_of(dir);
        let at = |error: io::Error| embedded(&part, &error);
        if part.exists() {
            fs::remove_dir_all(&part).map_err(at)?;
        }
        if let Err(error) = open(&part, anywhere).and_then(stop) {
            // What it says is what is wrong, not whether the rest goes away.
            drop(fs::remove_dir_all(&part));
            return Err(error);
        }
        fs::rename(&part, dir).map_err(at)?;
    }
    open(dir, anywhere)
}

fn open(dir: &Path, address: SocketAddr) -> Result<PgliteServer> {
    PgliteServer::builder()
        .path(dir)
        .tcp(address)
        // Less to go through when it starts again, which is always a recovery.
        .postgres_config("max_wal_size", "128MB")
        .start()
        .map_err(|error| embedded(dir, &format_args!("{error:#}")))
}

fn stop(server: PgliteServer) -> Result<()> {
    server
        .shutdown()
        .map_err(|error| Error::Embedded(format!("{error:#}")))
}

/// Keeps a server running at its address until `ended` is told, then stops it.
///
/// The library's server ends, and says so nowhere, when its connection breaks off in the middle (as that of a client does which
/// waited too long), or when Postgres traps: then all that is left for whoever connects next is a closed port.
pub(super) fn keep(
    dir: &Path,
    address: SocketAddr,
    server: PgliteServer,
    ended: &Receiver<()>,
) -> Result<()> {
    let mut server = Some(server);
    let mut wait = LOOK_EVERY;
    let mut failures = AGAIN.start();
    // What stood in the way last, so that it is said once and not with every try.
    let mut said = String::new();
    loop {
        match ended.recv_timeout(wait) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                return server.map_or(Ok(()), stop);
            }
            // Nobody else can listen there while it does. To connect would take its one place.
            Err(RecvTimeoutError::Timeout) if TcpListener::bind(address).is_err() => {
                wait = LOOK_EVERY;
            }
            Err(RecvTimeoutError::Timeout) => {
                let why = server.take().map_or(Ok(()), stop);
                let why = why.err().map(|error| error.to_string());
                match open(dir, address) {
                    Ok(again) => {
                        tracing::warn!(why, "the embedded Postgres ended and was started again");
                        server = Some(again);
                        wait = LOOK_EVERY;
                        failures.reset();
                        said.clear();
                    }
                    Err(error) => {
                        wait = failures.delay();
                        let error = error.to_string();
                        if error != said {
                            tracing::error!(why, %error, "the embedded Postgres ended and does not start again; it is tried until it does");
                            said = error;
                        }
                    }
                }
            }
        }
    }
}
