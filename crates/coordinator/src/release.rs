//! Queued edits to the broker: in fair order, a window ahead of the fleet; and again, when nobody claimed them.
//!
//! The row is marked first and published then. A publish that fails takes the mark back; a coordinator that dies in
//! between leaves an edit that is announced and unclaimed, and those are announced again.

use std::collections::BTreeSet;
use std::time::Duration;

use limekiln_broker::{Broker, Hint, Input, Wakes};
use limekiln_jobs::{EditId, ModelName};
use limekiln_store::{Announcement, Store};
use tokio::time::{Instant, sleep, sleep_until};

use crate::duty::{Duty, Next};
use crate::{Error, Settings};

/// The most edits of one look at the queue.
const LIMIT: u32 = 256;
/// The shortest rest between two looks, and the longest that a slow look is followed by when there is more to do. What
/// a busy fleet finishes meanwhile fits the window.
const REST: Duration = Duration::from_millis(10);
const REST_MOST: Duration = Duration::from_millis(50);

/// Announces queued edits.
pub(crate) struct Release {
    store: Store,
    announcer: Announcer,
    wakes: Ears,
    min_window: u32,
    tick: Duration,
    idle: Duration,
    /// Looks in a row that found nothing.
    empty: u32,
    /// Before then no wake brings the next look: submissions in their hundreds would bring hundreds of looks.
    not_before: Instant,
}

impl Release {
    pub(crate) fn new(
        store: Store,
        announcer: Announcer,
        wakes: Ears,
        settings: &Settings,
    ) -> Self {
        Self {
            store,
            announcer,
            wakes,
            min_window: settings.min_window,
            tick: settings.release_tick,
            idle: settings.release_idle,
            empty: 0,
            not_before: Instant::now(),
        }
    }

    /// Short rests while edits flow, longer ones when nothing was to be done.
    fn pause(&self) -> Duration {
        let pause = REST.saturating_mul(1 << self.empty.min(16));
        // A few looks at the tick's pace, then at the idle one.
        if pause > self.tick.saturating_mul(16) {
            self.idle.max(self.tick)
        } else {
            pause.min(self.tick)
        }
    }
}

impl Duty for Release {
    const NAME: &'static str = "release";

    async fn round(&mut self) -> Result<Next, Error> {
        let start = Instant::now();
        let released = self
            .store
            .edits_release(None, self.min_window, LIMIT)
            .await?;
        self.not_before = Instant::now() + start.elapsed().clamp(REST, REST_MOST);
        if released.is_empty() {
            let pause = self.pause();
            self.empty = self.empty.saturating_add(1);
            return Ok(Next::After(pause));
        }
        self.empty = 0;
        for one in &released {
            metrics::counter!("limekiln_released_total", "model" => one.model.to_string(), "class" => class(one)).increment(1);
        }
        let failed = self.announcer.announce(&released).await;
        metrics::histogram!("limekiln_release_seconds").record(start.elapsed());
        let rest = start.elapsed().clamp(REST, REST_MOST);
        self.not_before = Instant::now() + rest;
        if failed.edits.is_empty() {
            return Ok(if released.len() >= LIMIT as usize {
                Next::Now
            } else {
                Next::After(rest)
            });
        }
        // Should this fail too, they are announced again later, like those of a coordinator that died here.
        self.store.edits_unannounce(&failed.edits).await?;
        match failed.error {
            Some(error) if failed.edits.len() == released.len() => Err(error.into()),
            _ => Ok(Next::After(self.tick)),
        }
    }

    async fn rest(&mut self, pause: Duration) {
        if self.wakes.heard_within(pause).await {
            self.empty = 0;
            sleep_until(self.not_before).await;
        }
    }
}

/// Announces again what was announced and not claimed for a while.
pub(crate) struct Again {
    pub(crate) store: Store,
    pub(crate) announcer: Announcer,
    pub(crate) every: Duration,
}

impl Duty for Again {
    const NAME: &'static str = "announce_again";

    async fn round(&mut self) -> Result<Next, Error> {
        // Each announcement makes the wait for the next one longer: none is wasted on a broker that is away. The
        // release's outage says so.
        if !self.announcer.broker.is_connected() {
            return Ok(Next::After(self.every));
        }
        let overdue = self.store.edits_announce_again(LIMIT).await?;
        if overdue.is_empty() {
            return Ok(Next::After(self.every));
        }
        for one in &overdue {
            metrics::counter!("limekiln_announced_again_total", "model" => one.model.to_string(), "class" => class(one)).increment(1);
            tracing::debug!(edit = %one.edit, announcement = one.announcement, "announced again");
        }
        let failed = self.announcer.announce(&overdue).await;
        match failed.error {
            // They stay announced, and their turn comes again.
            Some(error) if failed.edits.len() == overdue.len() => Err(error.into()),
            _ if overdue.len() >= LIMIT as usize => Ok(Next::Now),
            _ => Ok(Next::After(self.every)),
        }
    }
}

/// What the broker did not confirm.
#[derive(Default)]
pub(crate) struct Unconfirmed {
    pub(crate) edits: Vec<EditId>,
    pub(crate) error: Option<limekiln_broker::Error>,
}

/// Publishes announcements, and says once when a model's can't be.
#[derive(Clone)]
pub(crate) struct Announcer {
    broker: Broker,
    failing: BTreeSet<ModelName>,
}

impl Announcer {
    pub(crate) fn new(broker: Broker) -> Self {
        Self {
            broker,
            failing: BTreeSet::new(),
        }
    }

    async fn announce(&mut self, announcements: &[Announcement]) -> Unconfirmed {
        let hints: Vec<Hint> = announcements.iter().map(hint).collect();
        let results = self.broker.announce(&hints).await;
        let mut failed = Unconfirmed::default();
        for (announcement, result) in announcements.iter().zip(results) {
            match result {
                Ok(()) => {
                    if !self.failing.is_empty() && self.failing.remove(&announcement.model) {
                        tracing::info!(model = %announcement.model, "announcements get through again");
                    }
                }
                Err(error) => {
                    metrics::counter!("limekiln_announce_failed_total").increment(1);
                    if self.failing.insert(announcement.model.clone()) {
                        tracing::warn!(model = %announcement.model, edit = %announcement.edit, %error, "can't announce");
                    }
                    failed.edits.push(announcement.edit);
                    failed.error = Some(error);
                }
            }
        }
        failed
    }
}

fn hint(announcement: &Announcement) -> Hint {
    Hint {
        edit: announcement.edit,
        tenant: announcement.tenant,
        model: announcement.model.clone(),
        class: announcement.class,
        input: Some(Input {
            key: announcement.input.key.clone(),
            digest: announcement.input.digest,
            bytes: announcement.input.bytes,
        }),
        announcement: announcement.announcement,
        trace: announcement.trace.clone(),
    }
}

fn class(announcement: &Announcement) -> &'static str {
    announcement.class.as_str()
}

/// Listens for wakes while resting.
pub(crate) struct Ears {
    wakes: Option<Wakes>,
}

impl Ears {
    pub(crate) fn new(wakes: Wakes) -> Self {
        Self { wakes: Some(wakes) }
    }

    /// Waits for a wake, for `pause` at most; whether one came.
    pub(crate) async fn heard_within(&mut self, pause: Duration) -> bool {
        let Some(wakes) = &mut self.wakes else {
            sleep(pause).await;
            return false;
        };
        tokio::select! {
            () = sleep(pause) => false,
            heard = wakes.next() => {
                if heard.is_none() {
                    // The broker's handle was closed: the tick is left.
                    self.wakes = None;
                }
                heard.is_some()
            }
        }
    }
}
