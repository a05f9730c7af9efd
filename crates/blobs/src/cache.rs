use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use limekiln_jobs::Digest;

mod disk;
mod fetch;

/// Blobs on local disk, by their content, verified when read. Cheap to clone. Several processes may share a directory;
/// each keeps to its own count of it.
#[derive(Debug, Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    limit_bytes: u64,
    index: Mutex<Index>,
    /// Who fetches what: the others wait for them.
    fetching: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

/// A cached file that stays while this lives.
#[derive(Debug)]
pub struct Pinned {
    path: PathBuf,
    digest: Digest,
    cache: Arc<Inner>,
}

impl Pinned {
    /// Where it is. Read only.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(entry) = self.cache.index().entries.get_mut(&self.digest) {
            entry.pins = entry.pins.saturating_sub(1);
        }
    }
}

/// What a cache did since it was opened, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Asked for and there.
    pub hits: u64,
    /// Asked for and not there, or damaged.
    pub misses: u64,
    /// Put out for want of room.
    pub evicted: u64,
    /// Files now.
    pub files: u64,
    /// Bytes now.
    pub bytes: u64,
}

/// What lies in the directory, as far as this process knows.
#[derive(Debug, Default)]
struct Index {
    entries: HashMap<Digest, Entry>,
    /// From the least recently used on; the number is the entry's `used`.
    order: BTreeMap<u64, Digest>,
    clock: u64,
    counts: Counts,
}

#[derive(Debug)]
struct Entry {
    bytes: u64,
    used: u64,
    pins: u32,
    /// Whether this process has checked the whole file.
    verified: bool,
}

impl Inner {
    fn index(&self) -> MutexGuard<'_, Index> {
        // Every change of it is whole before anything can panic.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }
}

impl Index {
    /// Takes an entry in, as the most recently used, held once more by `holds`.
    fn insert(&mut self, digest: Digest, bytes: u64, verified: bool, holds: u32) {
        let pins = self.remove(&digest).map_or(0, |old| old.pins) + holds;
        self.clock += 1;
        self.order.insert(self.clock, digest);
        self.counts.files += 1;
        self.counts.bytes += bytes;
        self.entries.insert(
            digest,
            Entry {
                bytes,
                used: self.clock,
                pins,
                verified,
            },
        );
    }

    fn remove(&mut self, digest: &Digest) -> Option<Entry> {
        let entry = self.entries.remove(digest)?;
        self.order.remove(&entry.used);
        self.counts.files -= 1;
        self.counts.bytes -= entry.bytes;
        Some(entry)
    }

    /// Makes it the most recently used.
    fn touch(&mut self, digest: &Digest) {
        self.clock += 1;
        if let Some(entry) = self.entries.get_mut(digest) {
            self.order.remove(&entry.used);
            entry.used = self.clock;
            self.order.insert(self.clock, *digest);
        }
    }

    /// Takes out the least recently used that nobody holds until what is left fits.
    fn evict(&mut self, limit_bytes: u64) -> Vec<Digest> {
        let mut out = Vec::new();
        let mut excess = self.counts.bytes.saturating_sub(limit_bytes);
        for digest in self.order.values() {
            if excess == 0 {
                break;
            }
            if let Some(entry) = self.entries.get(digest).filter(|entry| entry.pins == 0) {
                excess = excess.saturating_sub(entry.bytes);
                out.push(*digest);
            }
        }
        for digest in &out {
            self.remove(digest);
            self.counts.evicted += 1;
        }
        out
    }

    fn hit(&mut self) {
        self.counts.hits += 1;
        metrics::counter!("limekiln_cache_hits_total").increment(1);
    }

    fn miss(&mut self) {
        self.counts.misses += 1;
        metrics::counter!("limekiln_cache_misses_total").increment(1);
    }
}

impl Cache {
    /// What it did and holds.
    pub fn counts(&self) -> Counts {
        self.inner.index().counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_that_nobody_holds_goes_first() {
        let mut index = Index::default();
        let digests: Vec<Digest> = (0..4_u8).map(|n| Digest::of(&[n])).collect();
        for digest in &digests {
            index.insert(*digest, 10, true, 0);
        }
        index.touch(&digests[0]);
        index.entries.get_mut(&digests[1]).unwrap().pins = 1;
        assert_eq!(index.evict(25), [digests[2], digests[3]]);
        assert_eq!(
            (index.counts.bytes, index.counts.files, index.counts.evicted),
            (20, 2, 2)
        );
        // What is held stays, however much it is.
        assert_eq!(index.evict(0), [digests[0]]);
        assert_eq!(index.order.len(), index.entries.len());
        index.insert(digests[1], 12, true, 0);
        assert_eq!((index.counts.bytes, index.counts.files), (12, 1));
        assert_eq!(index.entries[&digests[1]].pins, 1);
    }
}
