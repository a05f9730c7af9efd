//! A repository of the hub, and what the cache has of it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::Error;

/// The revision that is meant where none is named.
const MAIN: &str = "main";

/// A repository at a revision.
pub(super) struct Repo<'a> {
    /// `owner/name`
    pub(super) name: &'a str,
    /// A branch, a tag or a commit; none is the main branch.
    pub(super) revision: Option<&'a str>,
}

impl fmt::Display for Repo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        match self.revision {
            Some(revision) => write!(f, "@{revision}"),
            None => Ok(()),
        }
    }
}

impl<'a> Repo<'a> {
    /// `owner/name` or `owner/name@revision` in the hub's alphabet, so that both can be parts of a path.
    pub(super) fn parse(text: &'a str) -> Result<Self, Error> {
        let part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let refused = |reason: &str| Error::Hub {
            repo: text.chars().take(100).collect(),
            reason: reason.into(),
        };
        let (name, revision) = match text.split_once('@') {
            Some((name, revision)) => (name, Some(revision)),
            None => (text, None),
        };
        if !matches!(name.split('/').collect::<Vec<_>>()[..], [owner, name] if part(owner) && part(name))
        {
            return Err(refused("a repository is named owner/name"));
        }
        if revision.is_some_and(|revision| revision.len() > 200 || !revision.split('/').all(part)) {
            return Err(refused(
                "a revision is a branch, a tag or a commit, written owner/name@revision",
            ));
        }
        Ok(Self { name, revision })
    }

    /// The repository's folder in the cache.
    pub(super) fn home(&self, cache: &Path) -> PathBuf {
        cache.join(format!("models--{}", self.name.replace('/', "--")))
    }

    /// The revision as the hub is asked for it, one segment of an address.
    pub(super) fn asked(&self) -> String {
        self.revision.unwrap_or(MAIN).replace('/', "%2F")
    }

    /// Snapshots in the cache that may be this revision, the likeliest first.
    pub(super) fn cached(&self, home: &Path) -> Vec<PathBuf> {
        let snapshots = home.join("snapshots");
        let revision = self.revision.unwrap_or(MAIN);
        if let Ok(commit) = fs::read_to_string(home.join("refs").join(revision)) {
            let folder = snapshots.join(commit.trim());
            return Vec::from_iter(folder.is_dir().then_some(folder));
        }
        match self.revision {
            Some(commit) if is_commit(commit) => {
                let folder = snapshots.join(commit);
                Vec::from_iter(folder.is_dir().then_some(folder))
            }
            Some(_) => Vec::new(),
            // Somebody copied a snapshot here without what names it.
            None => newest_first(&snapshots),
        }
    }

    /// Writes down which commit the revision is.
    pub(super) fn remember(&self, home: &Path, commit: &str) -> io::Result<()> {
        let revision = self.revision.unwrap_or(MAIN);
        if revision == commit {
            return Ok(());
        }
        let path = home.join("refs").join(revision);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, commit)
    }
}

/// Whether this is a commit's whole name.
pub(super) fn is_commit(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn newest_first(snapshots: &Path) -> Vec<PathBuf> {
    let Ok(entries) = snapshots.read_dir() else {
        return Vec::new();
    };
    let changed = |path: &Path| {
        path.metadata()
            .and_then(|found| found.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let mut folders: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .map(|path| (changed(&path), path))
        .collect();
    folders.sort();
    folders.into_iter().rev().map(|(_, path)| path).collect()
}
