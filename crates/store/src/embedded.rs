//! Postgres in process.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

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

/// The version of the library, which unpacks Postgres in a place of its own for each.
const LIBRARY: &str = "0.5.1";

/// A folder that Postgres itself (100 MB) is unpacked in, once.
///
/// The library unpacks where `XDG_CACHE_HOME` says and takes half of it for whole, so nothing is taken that an interrupted start
/// or a full disk left.
#[derive(Debug, Clone)]
pub struct Unpacked {
    folder: PathBuf,
}

impl Unpacked {
    /// Below `cache`. The process's `XDG_CACHE_HOME` must name [`Unpacked::folder`] before [`Unpacked::start`].
    pub fn below(cache: &Path) -> Self {
        Self {
            folder: cache.join(format!("postgres-{LIBRARY}")),
        }
    }

    /// Where it is unpacked.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// As [`Embedded::start`].
    ///
    /// # Errors
    /// As [`Embedded::start`], and where the folder can't be written.
    pub fn start(&self, dir: &Path) -> Result<Embedded> {
        let at = |error: io::Error| embedded(&self.folder, &error);
        fs::create_dir_all(&self.folder).map_err(at)?;
        // One process unpacks, others with the same cache wait for it.
        let lock = File::create(self.folder.join("lock")).map_err(at)?;
        lock.lock().map_err(at)?;
        let whole = self.folder.join("whole");
        if whole.exists() {
            drop(lock);
            return Embedded::start(dir);
        }
        self.forget().map_err(at)?;
        let started = Embedded::start(dir);
        match started {
            Ok(_) => drop(File::create(whole).map_err(at)?),
            // What it says is what is wrong, not whether the rest goes away.
            Err(_) => drop(self.forget()),
        }
        started
    }

    fn forget(&self) -> io::Result<()> {
        for entry in self.folder.read_dir()? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }
}

fn embedded(path: &Path, error: &dyn fmt::Display) -> Error {
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

impl Embedded {
    /// Starts on `dir`, which is created when it is missing: beside its place and moved there whole, so that a disk which fills
    /// up meanwhile leaves nothing that a later start takes for a database. Crash recovery included. Blocks for about half a
    /// second, so call it on a blocking thread.
    ///
    /// # Errors
    /// [`Error::Embedded`]: the directory is in use by another process, cannot be written, or is damaged.
    pub fn start(dir: &Path) -> Result<Self> {
        if is_new(dir) {
            let part = part_of(dir);
            let at = |error: io::Error| embedded(&part, &error);
            if part.exists() {
                fs::remove_dir_all(&part).map_err(at)?;
            }
            if let Err(error) = Self::open(&part).and_then(Self::shutdown) {
                // What it says is what is wrong, not whether the rest goes away.
                drop(fs::remove_dir_all(&part));
                return Err(error);
            }
            fs::rename(&part, dir).map_err(at)?;
        }
        Self::open(dir)
    }

    fn open(dir: &Path) -> Result<Self> {
        let server = PgliteServer::builder()
            .path(dir)
            // Less to go through when it starts again, which is always a recovery.
            .postgres_config("max_wal_size", "128MB")
            .start()
            .map_err(|error| embedded(dir, &format_args!("{error:#}")))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_the_one_that_is_built() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
        let lock = fs::read_to_string(lock).unwrap();
        let entry = format!("name = \"pglite-oxide\"\nversion = \"{LIBRARY}\"\n");
        assert!(
            lock.contains(&entry),
            "set LIBRARY to the version in Cargo.lock"
        );
    }

    #[test]
    fn nothing_is_left_of_a_start_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let unpacked = Unpacked::below(&cache);
        // As a full disk left it.
        let half = unpacked.folder().join("pglite-oxide/runtime");
        fs::create_dir_all(&half).unwrap();
        // A file where the database's folder would be made.
        let in_the_way = folder.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        let failed = unpacked.start(&in_the_way.join("data"));
        assert!(failed.is_err());
        assert!(!half.exists(), "half of it is taken for whole");
        assert!(!unpacked.folder().join("whole").exists());
    }
}
