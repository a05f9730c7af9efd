//! What one tenant may hold of what all share, so that no tenant shuts the others out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use limekiln_jobs::TenantId;

/// How much each tenant holds of one thing.
pub(crate) struct Shares(Arc<Inner>);

struct Inner {
    each: usize,
    /// Tenants that hold nothing are not in it.
    held: Mutex<HashMap<TenantId, usize>>,
}

/// What a tenant holds, until it is dropped.
pub(crate) struct Share {
    tenant: TenantId,
    amount: usize,
    shares: Arc<Inner>,
}

impl Shares {
    /// Each tenant may hold this part of `total`, and at least one.
    pub(crate) fn new(total: usize, part: f64) -> Self {
        Self::at_least(total, part, 1)
    }

    /// Each tenant may hold this part of `total`, and at least so much.
    pub(crate) fn at_least(total: usize, part: f64, least: usize) -> Self {
        let each = (total as f64 * part.clamp(0.0, 1.0)).ceil() as usize;
        Self(Arc::new(Inner {
            each: each.max(least),
            held: Mutex::default(),
        }))
    }

    /// What each tenant may hold.
    pub(crate) fn each(&self) -> usize {
        self.0.each
    }

    /// Takes `amount` for the tenant, unless it would hold more than its share.
    pub(crate) fn take(&self, tenant: TenantId, amount: usize) -> Option<Share> {
        self.0.add(tenant, amount).then(|| Share {
            tenant,
            amount,
            shares: self.0.clone(),
        })
    }
}

impl Inner {
    /// Whether the tenant may hold so much more; then it does.
    fn add(&self, tenant: TenantId, amount: usize) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = held.get(&tenant).copied().unwrap_or(0);
        let more = now.checked_add(amount).filter(|more| *more <= self.each);
        if let Some(more) = more {
            held.insert(tenant, more);
        }
        more.is_some()
    }
}

impl Share {
    /// Takes so much more for the same tenant, unless it would hold more than its share; whether it did.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let grown = self.shares.add(self.tenant, more);
        if grown {
            self.amount += more;
        }
        grown
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self
            .shares
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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
        assert!(shares.0.held.lock().unwrap().is_empty(), "nobody is kept");
        let mut grown = shares.take(one, 1).unwrap();
        assert!(grown.grow(1) && !grown.grow(1));
        drop(grown);
        assert!(shares.take(one, 2).is_some());
        assert_eq!(Shares::new(2, 0.1).each(), 1);
        assert_eq!(Shares::new(2048, 1.0).each(), 2048);
    }
}
