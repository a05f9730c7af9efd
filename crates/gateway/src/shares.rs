//! What one tenant may hold of what all share, so that no tenant shuts the others out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use limekiln_jobs::TenantId;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How much each tenant holds of one thing.
pub(crate) struct Shares(Arc<Inner>);

struct Inner {
    each: usize,
    /// Tenants that hold nothing are not in it.
    held: Mutex<HashMap<TenantId, usize>>,
    /// Somebody holds less.
    freed: Notify,
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
            freed: Notify::new(),
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

    /// The same, or all of the tenant's share where `amount` is more, waiting for up to so long until it holds less.
    pub(crate) async fn take_within(
        &self,
        tenant: TenantId,
        amount: usize,
        wait: Duration,
    ) -> Option<Share> {
        let amount = amount.min(self.0.each);
        self.0
            .add_within(tenant, amount, wait)
            .await
            .then(|| Share {
                tenant,
                amount,
                shares: self.0.clone(),
            })
    }
}

impl Inner {
    /// As [`add`](Self::add), waiting for up to so long.
    async fn add_within(&self, tenant: TenantId, amount: usize, wait: Duration) -> bool {
        let added = async {
            loop {
                let freed = self.freed.notified();
                tokio::pin!(freed);
                // Before the look, so that what is given back after it is heard.
                freed.as_mut().enable();
                if self.add(tenant, amount) {
                    return;
                }
                freed.await;
            }
        };
        timeout(wait, added).await.is_ok()
    }

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

    fn give_back(&self, tenant: TenantId, amount: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = held.get_mut(&tenant) {
            *now = now.saturating_sub(amount);
            if *now == 0 {
                held.remove(&tenant);
            }
        }
        drop(held);
        self.freed.notify_waiters();
    }
}

impl Share {
    /// What it holds.
    pub(crate) fn amount(&self) -> usize {
        self.amount
    }

    /// Takes so much more for the same tenant, waiting for up to so long until that is within its share; whether it did.
    pub(crate) async fn grow_within(&mut self, more: usize, wait: Duration) -> bool {
        let grown = self.shares.add_within(self.tenant, more, wait).await;
        if grown {
            self.amount += more;
        }
        grown
    }

    /// Gives back all but so much.
    pub(crate) fn shrink_to(&mut self, amount: usize) {
        let surplus = self.amount.saturating_sub(amount);
        self.amount -= surplus;
        self.shares.give_back(self.tenant, surplus);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shares.give_back(self.tenant, self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_tenant_leaves_room_for_others() {
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
        assert!(grown.grow_within(1, Duration::ZERO).await);
        assert!(!grown.grow_within(1, Duration::ZERO).await);
        drop(grown);
        assert!(shares.take(one, 2).is_some());
        assert_eq!(Shares::new(2, 0.1).each(), 1);
        assert_eq!(Shares::new(2048, 1.0).each(), 2048);
    }

    #[tokio::test]
    async fn who_waits_is_let_in_when_the_tenant_holds_less() {
        let shares = Shares::new(8, 0.5);
        let (one, hour) = (TenantId::new(), Duration::from_secs(3600));
        // More than a share is all of it.
        let mut all = shares.take_within(one, 9, Duration::ZERO).await.unwrap();
        assert_eq!(all.amount(), 4);
        assert!(shares.take_within(one, 1, Duration::ZERO).await.is_none());
        let other = shares.take_within(TenantId::new(), 4, Duration::ZERO);
        assert!(other.await.is_some());
        let waiting = shares.take_within(one, 2, hour);
        let freeing = async { all.shrink_to(2) };
        let (waited, ()) = tokio::join!(waiting, freeing);
        assert_eq!(waited.unwrap().amount(), 2);
    }
}
