//! What this worker has at hand, in bounded memory: what was used longest ago goes first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use limekiln_jobs::TenantId;
use limekiln_lime::known::Key;
use lru::LruCache;

use crate::metrics;

/// Blobs by tenant and key, of no more bytes than a limit.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: u64,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    blobs: LruCache<(TenantId, Key), Bytes>,
    bytes: u64,
}

impl Memory {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            held: Mutex::new(Held {
                blobs: LruCache::unbounded(),
                bytes: 0,
            }),
        }
    }

    pub(crate) fn get(&self, tenant: TenantId, key: &Key) -> Option<Bytes> {
        self.held().blobs.get(&(tenant, *key)).cloned()
    }

    /// Adds a blob, unless it is larger than all that may be held.
    pub(crate) fn put(&self, tenant: TenantId, key: Key, blob: Bytes) {
        let bytes = blob.len() as u64;
        if bytes > self.limit {
            return;
        }
        let mut held = self.held();
        held.bytes += bytes;
        if let Some(before) = held.blobs.put((tenant, key), blob) {
            held.bytes -= before.len() as u64;
        }
        while held.bytes > self.limit
            && let Some((_, out)) = held.blobs.pop_lru()
        {
            held.bytes -= out.len() as u64;
        }
        metrics::reuse_memory(held.bytes);
    }

    pub(crate) fn forget(&self, tenant: TenantId, key: &Key) {
        let mut held = self.held();
        if let Some(out) = held.blobs.pop(&(tenant, *key)) {
            held.bytes -= out.len() as u64;
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_and_no_tenant_sees_anothers() {
        let (tenant, other) = (TenantId::new(), TenantId::new());
        let memory = Memory::new(10);
        let blob = |length: usize| Bytes::from(vec![7; length]);
        let key = |name: u8| [name; 32];
        let held = |name: u8| memory.get(tenant, &key(name)).is_some();
        memory.put(tenant, key(1), blob(4));
        memory.put(tenant, key(2), blob(4));
        assert!(held(1), "used again");
        assert_eq!(memory.get(other, &key(1)), None);
        memory.put(tenant, key(3), blob(4));
        assert!(held(1) && !held(2) && held(3));
        // Put again, it counts once; what never fits puts nothing out.
        memory.put(tenant, key(3), blob(6));
        memory.put(tenant, key(4), blob(11));
        assert!(held(1) && held(3) && !held(4));
        memory.forget(tenant, &key(3));
        memory.put(tenant, key(5), blob(6));
        assert!(held(1) && held(5));
        assert_eq!(memory.held().bytes, 10);
    }
}
