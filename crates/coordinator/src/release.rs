//! Queued edits to the broker, in fair order, a window ahead of the fleet.
//!
//! The row is marked first and published then. A publish that fails takes the mark back; a coordinator that dies in
//! between leaves an edit that is announced and unclaimed, and [`Reannounce`](crate::reannounce::Reannounce) finds those.

use std::time::Duration;

use limekiln_jobs::retry::Policy;
use limekiln_store::Store;
use tokio::time::{Instant, sleep_until};

use crate::announcer::Announcer;
use crate::control_loop::{ControlLoop, Next};
use crate::offers::Offers;
use crate::wakes::WakeListener;
use crate::{Error, Settings};

/// The most edits of one round.
const LIMIT: u32 = 256;
/// The shortest pause between two rounds, and the longest that follows a slow round when there is more to do. What a busy
/// fleet finishes meanwhile fits the window.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MOST: Duration = Duration::from_millis(50);
/// Pauses after rounds in a row that found nothing, before they are held against the tick.
const PAUSES: Policy = Policy::new(PAUSE, Duration::from_secs(600));

/// The loop that announces queued edits.
pub(crate) struct Release {
    store: Store,
    announcer: Announcer,
    offers: Offers,
    wakes: WakeListener,
    min_window: u32,
    tick: Duration,
    idle: Duration,
    /// Rounds in a row that found nothing.
    empty: u32,
    /// No wake starts a round before then: hundreds of submissions would start hundreds of rounds.
    not_before: Instant,
}

impl Release {
    pub(crate) fn new(
        store: Store,
        announcer: Announcer,
        wakes: WakeListener,
        settings: &Settings,
    ) -> Self {
        Self {
            store,
            announcer,
            offers: Offers::new(settings.offers_stand),
            wakes,
            min_window: settings.min_window,
            tick: settings.release_tick,
            idle: settings.release_idle,
            empty: 0,
            not_before: Instant::now(),
        }
    }

    /// Announces what nobody took that it was offered to.
    async fn end_offers(&mut self, all: bool) -> Result<(), Error> {
        let Self {
            store,
            announcer,
            offers,
            ..
        } = self;
        let failed = offers.end(store, announcer, all).await?;
        if !failed.edits.is_empty() {
            store.edits_unannounce(&failed.edits).await?;
        }
        Ok(())
    }

    /// Short pauses while edits flow; longer ones, up to the tick, the longer nothing was to be done; then the idle ones.
    fn pause_after_nothing(&self) -> Duration {
        let pause = PAUSES.delay(self.empty);
        if pause > self.tick.saturating_mul(16) {
            self.idle.max(self.tick)
        } else {
            pause.min(self.tick)
        }
    }
}

impl ControlLoop for Release {
    const NAME: &'static str = "release";

    async fn round(&mut self) -> Result<Next, Error> {
        self.end_offers(false).await?;
        let start = Instant::now();
        let released = self
            .store
            .edits_release(None, self.min_window, LIMIT)
            .await?;
        self.not_before = Instant::now() + start.elapsed().clamp(PAUSE, PAUSE_MOST);
        if released.is_empty() {
            let pause = self.pause_after_nothing();
            self.empty = self.empty.saturating_add(1);
            return Ok(Next::After(pause));
        }
        self.empty = 0;
        for one in &released {
            metrics::counter!("limekiln_released_total", "model" => one.model.to_string(), "class" => one.class.as_str()).increment(1);
        }
        let count = released.len();
        let released = self.offers.make(&self.announcer, released);
        let failed = self.announcer.announce(&released).await;
        metrics::histogram!("limekiln_release_seconds").record(start.elapsed());
        let pause = start.elapsed().clamp(PAUSE, PAUSE_MOST);
        self.not_before = Instant::now() + pause;
        if failed.edits.is_empty() {
            return Ok(if count >= LIMIT as usize {
                Next::Now
            } else {
                Next::After(pause)
            });
        }
        // Should this fail, too, they are announced again later, like those of a coordinator that died here.
        self.store.edits_unannounce(&failed.edits).await?;
        match failed.error {
            Some(error) if failed.edits.len() == released.len() => Err(error.into()),
            _ => Ok(Next::After(self.tick)),
        }
    }

    async fn pause(&mut self, pause: Duration) {
        let pause = self.offers.next_within(pause);
        if self.wakes.wake_within(pause).await {
            self.empty = 0;
            sleep_until(self.not_before).await;
        }
    }

    async fn finish(&mut self) {
        if let Err(error) = self.end_offers(true).await {
            tracing::debug!(%error, "what was offered and not taken is announced again after a while");
        }
    }
}
