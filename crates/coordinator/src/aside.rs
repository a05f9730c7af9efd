//! Bulk steps aside: where interactive edits wait and every worker is busy, as many running bulk edits are asked to give their slots to
//! them, each a few times in its life. They end at their next step in a checkpoint, and are queued again.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_broker::Broker;
use limekiln_jobs::{EditId, Epoch};
use limekiln_store::Store;
use tokio::time::{Instant, sleep};

use crate::Error;
use crate::control_loop::{ControlLoop, Next};
use crate::wakes::WakeListener;

/// How long an interactive edit waits before a slot is made free for it: a worker that has one takes it sooner.
const PATIENCE: Duration = Duration::from_millis(60);
/// Between two looks while interactive edits wait, and after a wake.
const PAUSE: Duration = Duration::from_millis(40);
/// Looks after a wake: what it tells of may be announced only in a moment.
const LOOKS: u32 = 3;
/// After so long who was asked is told again.
const AGAIN: Duration = Duration::from_secs(1);

/// The loop that asks bulk to step aside.
pub(crate) struct Aside {
    store: Store,
    broker: Broker,
    wakes: WakeListener,
    every: Duration,
    most: u16,
    looks: u32,
    /// When who was asked, and has not stepped aside, was seen first, and told last.
    told: HashMap<(EditId, Epoch), (Instant, Instant)>,
}

impl Aside {
    pub(crate) fn new(
        store: Store,
        broker: Broker,
        wakes: WakeListener,
        every: Duration,
        most: u16,
    ) -> Self {
        Self {
            store,
            broker,
            wakes,
            every,
            most,
            looks: 0,
            told: HashMap::new(),
        }
    }

    fn tell(&mut self, run: (EditId, Epoch)) {
        let now = Instant::now();
        self.told.entry(run).or_insert((now, now)).1 = now;
        self.broker.step_aside(run.0, run.1);
    }
}

impl ControlLoop for Aside {
    const NAME: &'static str = "step_aside";

    async fn round(&mut self) -> Result<Next, Error> {
        if self.most == 0 {
            return Ok(Next::After(self.every));
        }
        let asides = self.store.edits_step_aside(PATIENCE, self.most).await?;
        metrics::counter!("limekiln_asides_total").increment(asides.asked.len() as u64);
        self.told
            .retain(|run, _| asides.pending.contains(run) || asides.asked.contains(run));
        for run in asides.asked {
            tracing::info!(edit = %run.0, epoch = %run.1, "asked to step aside for an interactive edit");
            self.tell(run);
        }
        for run in asides.pending {
            // Another coordinator asked it, or the message may have got lost.
            match self.told.get(&run) {
                Some((_, told)) if told.elapsed() >= AGAIN => self.tell(run),
                Some(_) => {}
                None => {
                    self.told.insert(run, (Instant::now(), Instant::now()));
                }
            }
        }
        let oldest = self.told.values().map(|(first, _)| first.elapsed()).max();
        metrics::gauge!("limekiln_aside_oldest_seconds")
            .set(oldest.unwrap_or_default().as_secs_f64());
        self.looks = self.looks.saturating_sub(1);
        let soon = asides.waiting || self.looks > 0;
        Ok(Next::After(if soon { PAUSE } else { self.every }))
    }

    async fn pause(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        sleep(pause.min(PAUSE)).await;
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() && self.wakes.wake_within(left).await {
            self.looks = LOOKS;
        }
    }
}
