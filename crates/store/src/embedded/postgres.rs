//! A database of this process's own.

use std::fmt;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::server;
use crate::{Error, Result, Settings};

/// A Postgres in this process, on a directory. One connection at a time; close the [`crate::Store`] before dropping it.
///
/// What was acknowledged survives the end of the process, however it ends. It runs without fsync (the library's file system
/// cannot sync directories, and Postgres refuses to recover where it can't), so a power cut may lose or damage the directory:
/// what must survive that belongs in a real Postgres.
///
/// Where it ends by itself it is started again at the same address, within a second on an idle machine.
pub struct Embedded {
    url: String,
    kept: Option<(Sender<()>, JoinHandle<Result<()>>)>,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// Starts on `dir`, which is created when it is missing: beside its place and moved there whole, so that a disk which fills
    /// up meanwhile leaves nothing that a later start takes for a database. Crash recovery included. Blocks for about half a
    /// second, so call it on a blocking thread.
    ///
    /// # Errors
    /// [`Error::Embedded`]: the directory is in use by another process, cannot be written, or is damaged.
    pub fn start(dir: &Path) -> Result<Self> {
        let server = server::start(dir)?;
        let url = server.database_url();
        let address = server.tcp_addr();
        let address = address.ok_or_else(|| server::embedded(dir, &"it listens nowhere"))?;
        let (end, ended) = channel();
        let folder = dir.to_owned();
        let keeper = std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || server::keep(&folder, address, server, &ended))
            .map_err(|error| server::embedded(dir, &error))?;
        Ok(Self {
            url,
            kept: Some((end, keeper)),
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Settings with a pool of one, for which every statement waits its turn.
    pub fn settings(&self) -> Settings {
        Settings {
            connections: 1,
            acquire_timeout: Duration::from_secs(30),
            ..Settings::new(self.url.clone())
        }
    }

    /// Stops it. Waits for its connection to be closed, so close the [`crate::Store`] first. Blocks.
    ///
    /// # Errors
    /// [`Error::Embedded`] with what its thread died of.
    pub fn shutdown(mut self) -> Result<()> {
        self.stop()
    }

    fn stop(&mut self) -> Result<()> {
        let Some((end, keeper)) = self.kept.take() else {
            return Ok(());
        };
        drop(end);
        keeper
            .join()
            .map_err(|_| Error::Embedded("its thread panicked".to_owned()))?
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(%error, "the embedded Postgres was not stopped in order");
        }
    }
}
