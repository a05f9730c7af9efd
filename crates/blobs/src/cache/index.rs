use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use limekiln_jobs::Digest;

/// Blobs on local disk, by their content, verified when read. Cheap to clone. Several processes may share a directory;
/// each keeps to its own count of it.
#[derive(Debug, Clone)]
pub struct Cache {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) dir: PathBuf,
    pub(super) limit_bytes: u64,
    pub(super) index: Mutex<Index>,
    /// One lock for each blob that is being fetched: whoever else wants the blob waits for it.
    pub(super) fetching: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

/// A cached file that stays while this lives.
#[derive(Debug)]
pub struct Pinned {
    pub(super) path: PathBuf,
    pub(super) digest: Digest,
    pub(super) cache: Arc<Inner>,
}

impl Pinned {
    /// Where the file is. It must not be written.
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

/// Counts since a cache was opened, and its size now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Lookups that found their blob.
    pub hits: u64,
    /// Lookups whose blob was not there, or damaged.
    pub misses: u64,
    /// Blobs removed for want of room.
    pub evicted: u64,
    /// Files it holds now.
    pub files: u64,
    /// Bytes it holds now.
    pub bytes: u64,
}

/// What lies in the directory, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) entries: HashMap<Digest, Entry>,
    /// Blobs by their entry's `used`: the least recently used first.
    by_use: BTreeMap<u64, Digest>,
    /// The `used` of the entry used last.
    clock: u64,
    stats: CacheStats,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) bytes: u64,
    used: u64,
    /// How many [`Pinned`] keep it from being evicted.
    pub(super) pins: u32,
    /// Whether this process has checked the whole file.
    pub(super) verified: bool,
}

impl Inner {
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        // Every change of it is whole before anything can panic.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }
}

impl Index {
    /// Adds an entry as the most recently used, with `new_pins` beside those that it had.
    pub(super) fn insert(&mut self, digest: Digest, bytes: u64, verified: bool, new_pins: u32) {
        let pins = self.remove(&digest).map_or(0, |old| old.pins) + new_pins;
        self.clock += 1;
        self.by_use.insert(self.clock, digest);
        self.stats.files += 1;
        self.stats.bytes += bytes;
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

    pub(super) fn remove(&mut self, digest: &Digest) -> Option<Entry> {
        let entry = self.entries.remove(digest)?;
        self.by_use.remove(&entry.used);
        self.stats.files -= 1;
        self.stats.bytes -= entry.bytes;
        Some(entry)
    }

    /// Makes an entry the most recently used.
    pub(super) fn touch(&mut self, digest: &Digest) {
        self.clock += 1;
        if let Some(entry) = self.entries.get_mut(digest) {
            self.by_use.remove(&entry.used);
            entry.used = self.clock;
            self.by_use.insert(self.clock, *digest);
        }
    }

    /// Removes the least recently used entries without a pin until the others fit.
    pub(super) fn evict(&mut self, limit_bytes: u64) -> Vec<Digest> {
        let mut out = Vec::new();
        let mut excess = self.stats.bytes.saturating_sub(limit_bytes);
        for digest in self.by_use.values() {
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
            self.stats.evicted += 1;
        }
        out
    }

    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> u64 {
        self.stats.bytes
    }

    pub(super) fn hit(&mut self) {
        self.stats.hits += 1;
        metrics::counter!("limekiln_cache_hits_total").increment(1);
    }

    pub(super) fn miss(&mut self) {
        self.stats.misses += 1;
        metrics::counter!("limekiln_cache_misses_total").increment(1);
    }
}

impl Cache {
    /// What it counted, and what it holds.
    pub fn stats(&self) -> CacheStats {
        self.inner.index().stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_without_a_pin_goes_first() {
        let mut index = Index::default();
        let digests: Vec<Digest> = (0..4_u8).map(|n| Digest::of(&[n])).collect();
        for digest in &digests {
            index.insert(*digest, 10, true, 0);
        }
        index.touch(&digests[0]);
        index.entries.get_mut(&digests[1]).unwrap().pins = 1;
        assert_eq!(index.evict(25), [digests[2], digests[3]]);
        assert_eq!(
            (index.stats.bytes, index.stats.files, index.stats.evicted),
            (20, 2, 2)
        );
        // What is pinned stays, however much it is.
        assert_eq!(index.evict(0), [digests[0]]);
        assert_eq!(index.by_use.len(), index.entries.len());
        index.insert(digests[1], 12, true, 0);
        assert_eq!((index.stats.bytes, index.stats.files), (12, 1));
        assert_eq!(index.entries[&digests[1]].pins, 1);
    }
}
