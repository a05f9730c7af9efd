//! Postgres in process.

use std::path::Path;

use crate::{Result, Settings};

/// A Postgres in this process, on a directory. One connection at a time.
#[derive(Debug)]
pub struct Embedded {
    url: String,
}

impl Embedded {
    /// Starts on `dir`, which is created when it is missing; crash recovery included. Blocks for about half a second, so
    /// call it on a blocking thread.
    pub fn start(dir: &Path) -> Result<Self> {
        let _ = dir;
        todo!()
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Settings with a pool of one.
    pub fn settings(&self) -> Settings {
        Settings { connections: 1, ..Settings::new(self.url.clone()) }
    }
}
