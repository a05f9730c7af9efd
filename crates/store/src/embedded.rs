//! Postgres in process.

use std::fmt;
use std::path::Path;

use pglite_oxide::PgliteServer;

use crate::{Error, Result, Settings};

/// A Postgres in this process, on a directory. One connection at a time; close the [`crate::Store`] before dropping it.
///
/// What was acknowledged survives the end of the process, however it ends. It runs without fsync (the library's file system
/// cannot sync directories, and Postgres refuses to recover where it can't), so a power cut may lose or damage the directory:
/// what must survive that belongs in a real Postgres.
pub struct Embedded {
    server: Option<PgliteServer>,
    url: String,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// Starts on `dir`, which is created when it is missing; crash recovery included. Blocks for about half a second, so
    /// call it on a blocking thread.
    ///
    /// # Errors
    /// [`Error::Embedded`]: the directory is in use by another process, cannot be written, or is damaged.
    pub fn start(dir: &Path) -> Result<Self> {
        let server = PgliteServer::builder()
            .path(dir)
            // Less to go through when it starts again, which is always a recovery.
            .postgres_config("max_wal_size", "128MB")
            .start()
            .map_err(|error| Error::Embedded(format!("{}: {error:#}", dir.display())))?;
        let url = server.database_url();
        Ok(Self {
            server: Some(server),
            url,
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Settings with a pool of one.
    pub fn settings(&self) -> Settings {
        Settings {
            connections: 1,
            ..Settings::new(self.url.clone())
        }
    }

    /// Stops it. Waits for its connection to be closed, so close the [`crate::Store`] first. Blocks.
    ///
    /// # Errors
    /// [`Error::Embedded`] with what its thread died of.
    pub fn shutdown(mut self) -> Result<()> {
        match self.server.take() {
            Some(server) => server
                .shutdown()
                .map_err(|error| Error::Embedded(format!("{error:#}"))),
            None => Ok(()),
        }
    }
}
