//! Edits that move on as time passes: leases that ran out, retries that came due, turns whose parents ended.

use std::collections::BTreeSet;
use std::time::Duration;

use limekiln_broker::Broker;
use limekiln_jobs::{EditId, StateName};
use limekiln_store::{Moved, Reaped, Store};

use crate::Error;
use crate::control_loop::{ControlLoop, Next};
use crate::live;

/// The most edits of one statement.
const LIMIT: u32 = 256;
/// The pause between two looks at some of the turns that wait.
const TURNS_PAUSE: Duration = Duration::from_secs(2);
/// Rounds of the reaper in the time of a lease: an outage is told from a pause by half of it.
const ROUNDS: u32 = 6;
/// The shortest pause of the reaper, whatever the leases.
const REAP_PAUSE: Duration = Duration::from_millis(50);

/// The loop that takes leases that ran out.
pub(crate) struct Reap {
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    /// Of workers that are not known.
    pub(crate) lease: Duration,
    /// Whether leases are left alone after an outage.
    pub(crate) holding: bool,
}

impl Reap {
    fn hold(&mut self, holding: bool) {
        metrics::gauge!("limekiln_reaper_holding").set(if holding { 1.0 } else { 0.0 });
        if holding && !self.holding {
            tracing::info!(
                "no lease is taken for the time of one: nobody looked for a while, and their workers may not have been able to renew them"
            );
        }
        self.holding = holding;
    }
}

impl ControlLoop for Reap {
    const NAME: &'static str = "reap";

    async fn round(&mut self) -> Result<Next, Error> {
        let Reaped {
            moved,
            lease,
            holding,
        } = self.store.reaper_round(LIMIT, self.lease).await?;
        self.hold(holding);
        for one in &moved {
            metrics::counter!("limekiln_reaped_total", "outcome" => one.state.as_str())
                .increment(1);
            tracing::debug!(edit = %one.edit, epoch = %one.epoch, state = %one.state, "a lease ran out");
            // The worker may be alive after all; it must not go on.
            self.broker.stop(one.edit, one.epoch);
        }
        if !moved.is_empty() {
            let workers: BTreeSet<String> = moved
                .iter()
                .filter_map(|one| one.worker)
                .map(|id| id.to_string())
                .collect();
            tracing::warn!(edits = moved.len(), ?workers, "leases ran out");
        }
        moves_publish(&self.store, &self.broker, &moved).await;
        let pause = (lease.min(self.lease) / ROUNDS).max(REAP_PAUSE);
        Ok(next(moved.len(), pause))
    }
}

/// The loop that queues failed attempts whose retry is due.
pub(crate) struct Retries {
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) every: Duration,
}

impl ControlLoop for Retries {
    const NAME: &'static str = "retries";

    async fn round(&mut self) -> Result<Next, Error> {
        let moved = self.store.edits_retry_due(LIMIT).await?;
        metrics::counter!("limekiln_retried_total").increment(moved.len() as u64);
        moves_publish(&self.store, &self.broker, &moved).await;
        Ok(next(moved.len(), self.every))
    }
}

/// The loop that looks after turns whose parents have ended. What ends a parent moves its turns in the same transaction; here
/// are those that somebody else was changing at that moment, so the looks are few and short.
pub(crate) struct Turns {
    store: Store,
    broker: Broker,
    /// The parent whose turns were looked at last.
    after: Option<EditId>,
}

impl Turns {
    pub(crate) fn new(store: Store, broker: Broker) -> Self {
        Self {
            store,
            broker,
            after: None,
        }
    }
}

impl ControlLoop for Turns {
    const NAME: &'static str = "turns";

    async fn round(&mut self) -> Result<Next, Error> {
        let (moved, last) = self.store.turns_unblock(self.after, LIMIT).await?;
        self.after = last;
        for one in &moved {
            metrics::counter!("limekiln_unblocked_total", "outcome" => one.state.as_str())
                .increment(1);
        }
        moves_publish(&self.store, &self.broker, &moved).await;
        Ok(Next::After(TURNS_PAUSE))
    }
}

fn next(moved: usize, every: Duration) -> Next {
    if moved >= LIMIT as usize {
        Next::Now
    } else {
        Next::After(every)
    }
}

/// Wakes the release when there is something to release, then publishes the events to watchers.
async fn moves_publish(store: &Store, broker: &Broker, moved: &[Moved]) {
    if moved.iter().any(|one| one.state == StateName::Queued) {
        broker.wake();
    }
    for one in moved {
        live::publish(store, broker, one.edit, one.seq).await;
    }
}
