//! What one tenant may hold of what all share, so that no tenant shuts the others out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use limekiln_jobs::TenantId;

/// How much each tenant holds of one thing.
pub(crate) struct Shares {
    each: usize,
    held: Arc<Held>,
}

/// Tenants that hold nothing are not in it.
type Held = Mutex<HashMap<TenantId, usize>>;

/// What a tenant holds, until it is dropped.
pub(crate) struct Share {
    tenant: TenantId,
    amount: usize,
    held: Arc<Held>,
}

impl Shares {
    /// Each tenant may hold this part of `total`, and at least one.
    pub(crate) fn new(total: usize, part: f64) -> Self {
        let each = (total as f64 * part.clamp(0.0, 1.0)).ceil() as usize;
        Self {
            each: each.max(1),
            held: Arc::default(),
        }
    }

    /// What each tenant may hold.
    pub(crate) fn each(&self) -> usize {
        self.each
    }

    /// Takes `amount` for the tenant, unless it would hold more than its share.
    pub(crate) fn take(&self, tenant: TenantId, amount: usize) -> Option<Share> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = held
            .get(&tenant)
            .copied()
            .unwrap_or(0)
            .checked_add(amount)?;
        if now > self.each {
            return None;
        }
        held.insert(tenant, now);
        Some(Share {
            tenant,
            amount,
            held: self.held.clone(),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = held.get_mut(&self.tenant) {
            *now = now.saturating_sub(self.amount);
            if *now == 0 {
                held.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_leaves_room_for_others() {
        let shares = Shares::new(8, 0.25);
        let (one, other) = (TenantId::new(), TenantId::new());
        let first = shares.take(one, 1);
        let second = shares.take(one, 1);
        assert!(first.is_some() && second.is_some());
        assert!(shares.take(one, 1).is_none());
        assert!(shares.take(other, 2).is_some());
        drop(first);
        assert!(shares.take(one, 1).is_some());
        drop(second);
        assert!(shares.held.lock().unwrap().is_empty(), "nobody is kept");
        assert_eq!(Shares::new(2, 0.1).each(), 1);
        assert_eq!(Shares::new(2048, 1.0).each(), 2048);
    }
}
