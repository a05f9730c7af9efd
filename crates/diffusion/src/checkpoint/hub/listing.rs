//! What the hub says that a revision holds.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::problem::Problem;
use super::repo::is_commit;

/// Most bytes of a repository's listing.
pub(super) const BYTES_MAX: usize = 16 << 20;

/// A revision's commit and files.
pub(super) struct Listing {
    pub(super) commit: String,
    files: BTreeMap<String, Sums>,
}

/// What is known of a file before it comes.
#[derive(Clone, Default)]
pub(super) struct Sums {
    /// Bytes of the file.
    pub(super) size: Option<u64>,
    /// SHA-256 in hexadecimal, of large files.
    pub(super) sha256: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

impl Listing {
    /// Reads the hub's answer to a question at `url`.
    pub(super) fn read(json: &[u8], url: &str) -> Result<Self, Problem> {
        let answer: Answer = serde_json::from_slice(json)
            .map_err(|e| Problem(format!("{url} is no listing of a repository ({e})")))?;
        let commit = answer.sha.filter(|sha| is_commit(sha));
        let files = answer.siblings.into_iter().map(|file| {
            let (sha256, size) = file.lfs.map_or((None, None), |lfs| (lfs.sha256, lfs.size));
            let sums = Sums {
                size: size.or(file.size),
                sha256: sha256.filter(|sum| sum.len() == 64),
            };
            (file.rfilename, sums)
        });
        Ok(Self {
            commit: commit.ok_or_else(|| Problem(format!("{url} names no commit")))?,
            files: files.collect(),
        })
    }

    pub(super) fn names(&self) -> BTreeSet<String> {
        self.files.keys().cloned().collect()
    }

    pub(super) fn sums(&self, name: &str) -> Sums {
        self.files.get(name).cloned().unwrap_or_default()
    }

    /// Bytes of these files together, where the hub said all of them.
    pub(super) fn total(&self, names: &[String]) -> Option<u64> {
        names.iter().map(|name| self.sums(name).size).sum()
    }
}
