//! Postgres itself, unpacked once for all processes of a cache.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::postgres::Embedded;
use super::server::embedded;
use crate::Result;

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
