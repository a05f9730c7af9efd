//! Catalogs: rows become edits a few at a time, and edits that ended become states of rows. Everything is found in Postgres, so that
//! any coordinator can go on where another died.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_broker::Broker;
use limekiln_jobs::TenantId;
use limekiln_jobs::catalog::LIVE_MAX;
use limekiln_store::{CatalogDue, Store};
use tokio::time::sleep;

use crate::control_loop::{ControlLoop, Next};
use crate::wakes::WakeListener;
use crate::{Error, Submitter};

/// Catalogs that are looked at in one round.
const CATALOGS: u32 = 500;
/// The pause while rows are under way.
const BUSY: Duration = Duration::from_millis(200);
/// The shortest pause, whatever wakes it.
const PAUSE: Duration = Duration::from_millis(50);

/// The loop that works catalogs off.
pub(crate) struct Catalogs {
    store: Store,
    broker: Broker,
    submitter: Submitter,
    wakes: WakeListener,
    every: Duration,
}

impl Catalogs {
    pub(crate) fn new(store: Store, broker: Broker, wakes: WakeListener, every: Duration) -> Self {
        Self {
            submitter: Submitter::new(store.clone(), broker.clone()),
            store,
            broker,
            wakes,
            every,
        }
    }

    /// Cancels the edits of a cancelled catalog.
    async fn cancel(&self, due: &CatalogDue) -> Result<(), Error> {
        for edit in self.store.catalog_live(due.catalog, LIVE_MAX).await? {
            self.submitter.cancel(due.tenant, edit).await?;
        }
        Ok(())
    }
}

/// Rows that are under way for each slot of the fleet. Few, so that those of one picture follow each other closely.
const LIVE_PER_SLOT: u32 = 4;
/// Rows that are under way even where no worker is there.
const LIVE_MIN: u32 = 16;

/// How many rows of each catalog may be started. All catalogs of a tenant share what its limit leaves, the first ones first; a quarter of
/// it is left to what the tenant asks for meanwhile.
fn rooms(due: &[CatalogDue]) -> Vec<u32> {
    let mut left: HashMap<TenantId, u32> = HashMap::new();
    let of = |due: &CatalogDue| {
        let kept = due.in_flight_limit / 4;
        (due.in_flight_limit - kept)
            .saturating_sub(due.in_flight)
            .min(LIVE_MAX)
    };
    due.iter()
        .map(|one| {
            let left = left.entry(one.tenant).or_insert_with(|| of(one));
            let room = (*left)
                .min(live_most(one.slots).saturating_sub(one.live))
                .min(u32::try_from(one.waiting).unwrap_or(u32::MAX));
            let room = if one.paused || one.cancelled { 0 } else { room };
            *left -= room;
            room
        })
        .collect()
}

/// The most rows of a catalog under way in a fleet of so many slots.
fn live_most(slots: u32) -> u32 {
    slots
        .saturating_mul(LIVE_PER_SLOT)
        .clamp(LIVE_MIN, LIVE_MAX)
}

impl ControlLoop for Catalogs {
    const NAME: &'static str = "catalogs";

    async fn round(&mut self) -> Result<Next, Error> {
        let due = self.store.catalogs_due(CATALOGS).await?;
        let rooms = rooms(&due);
        let (mut started, mut continued, mut moved) = (0, 0, 0);
        for (one, room) in due.iter().zip(rooms) {
            if one.cancelled {
                self.cancel(one).await?;
            }
            let work = self
                .store
                .catalog_work(one.tenant, one.catalog, room)
                .await?;
            started += work.started;
            continued += work.continued;
            moved += work.started + work.continued + work.settled;
            metrics::counter!("limekiln_catalog_rows_started_total")
                .increment(u64::from(work.started));
            metrics::counter!("limekiln_catalog_rows_ended_total")
                .increment(u64::from(work.settled));
            if work.ended {
                tracing::info!(catalog = %one.catalog, tenant = %one.tenant, "a catalog ended");
            }
        }
        metrics::gauge!("limekiln_catalogs_open").set(due.len() as f64);
        if started + continued > 0 {
            self.broker.wake();
        }
        Ok(Next::After(match (due.is_empty(), moved) {
            (true, _) => self.every,
            (false, 0) => BUSY,
            (false, _) => PAUSE,
        }))
    }

    async fn pause(&mut self, pause: Duration) {
        if pause <= BUSY {
            return sleep(pause).await;
        }
        if self.wakes.wake_within(pause).await {
            sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use limekiln_jobs::BatchId;

    fn due(tenant: TenantId, in_flight: u32, limit: u32) -> CatalogDue {
        CatalogDue {
            catalog: BatchId::new(),
            tenant,
            live: 0,
            waiting: 1_000_000,
            paused: false,
            cancelled: false,
            in_flight,
            in_flight_limit: limit,
            slots: 1_000,
        }
    }

    #[test]
    fn catalogs_of_a_tenant_share_what_its_limit_leaves() {
        let (a, b) = (TenantId::new(), TenantId::new());
        let paused = CatalogDue {
            paused: true,
            ..due(a, 10, 100)
        };
        let few = CatalogDue {
            waiting: 20,
            ..due(a, 10, 100)
        };
        let all = [
            paused,
            few,
            due(a, 10, 100),
            due(a, 10, 100),
            due(b, 0, u32::MAX),
        ];
        assert_eq!(rooms(&all), [0, 20, 45, 0, LIVE_MAX]);
        assert_eq!(rooms(&[due(a, 0, 0), due(b, 80, 100)]), [0, 0]);
        // A limit of one is not rounded to none.
        assert_eq!(rooms(&[due(a, 0, 1)]), [1]);
        let busy = CatalogDue {
            live: LIVE_MAX,
            ..due(a, LIVE_MAX, 10_000)
        };
        assert_eq!(rooms(&[busy]), [0]);
        // A small fleet has few rows under way.
        for (slots, most) in [(0, 16), (2, 16), (10, 40), (u32::MAX, LIVE_MAX)] {
            let of = CatalogDue {
                slots,
                ..due(a, 0, u32::MAX)
            };
            assert_eq!(rooms(&[of]), [most]);
        }
    }
}
