//! What is told of an edit's progress, and how often: soon after a stage begins, then once a second.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use limekiln_store::{Claimed, Progressed, Write, WriteError};
use tokio::time::{Instant, sleep_until};

use super::live;
use crate::run::Context;
use crate::{Progress, Signal, metrics};

/// From one event to the next within a stage.
const EVERY: Duration = Duration::from_secs(1);
/// From one event to the next where a stage began, or the last one ended. Edits of no time at all tell nothing.
const SOON: Duration = Duration::from_millis(250);

type Writing = Pin<Box<dyn Future<Output = Result<Write, WriteError>> + Send>>;

/// Writes the newest progress when it is due, one write at a time.
pub(super) struct Teller<'a> {
    ctx: &'a Arc<Context>,
    claimed: &'a Claimed,
    told_at: Instant,
    told: Option<Progress>,
    seen: Option<Progress>,
    writing: Option<(Progress, Writing)>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(ctx: &'a Arc<Context>, claimed: &'a Claimed) -> Self {
        Self {
            ctx,
            claimed,
            told_at: Instant::now(),
            told: None,
            seen: None,
            writing: None,
        }
    }

    /// The edit stands here now.
    pub(super) fn see(&mut self, progress: Progress) {
        self.seen = Some(progress);
    }

    /// Tells for as long as it is asked to; then, whether the lease is gone. Cancel safe.
    pub(super) async fn tell(&mut self) -> bool {
        loop {
            let Some((progress, writing)) = &mut self.writing else {
                let Some((at, progress)) = self.due() else {
                    return pending().await;
                };
                sleep_until(at).await;
                self.writing = Some((progress, self.write(progress)));
                continue;
            };
            let (progress, write) = (*progress, writing.await);
            self.writing = None;
            self.told = Some(progress);
            self.told_at = Instant::now();
            match write {
                Ok(Write::Applied { seq }) => live::progress(self.ctx, self.claimed, seq, progress),
                Ok(Write::Stale | Write::Missing) => {
                    metrics::stale("progress");
                    let signal = Signal::Stale(self.claimed.edit, self.claimed.epoch);
                    self.ctx.settings.signals.give(signal);
                    return true;
                }
                Err(error) => tracing::warn!(%error, "progress is not recorded"),
            }
        }
    }

    /// What there is to tell, and when.
    fn due(&self) -> Option<(Instant, Progress)> {
        let seen = self.seen.filter(|seen| Some(*seen) != self.told)?;
        let entered = self.told.is_none_or(|told| told.stage != seen.stage);
        let pause = if entered || seen.is_done() {
            SOON
        } else {
            EVERY
        };
        Some((self.told_at + pause, seen))
    }

    fn write(&self, progress: Progress) -> Writing {
        let ledger = self.ctx.ledger.clone();
        let progressed = Progressed {
            edit: self.claimed.edit,
            epoch: self.claimed.epoch,
            stage: progress.stage.to_owned(),
            step: progress.step,
            steps: progress.steps,
        };
        Box::pin(async move { ledger.edit_progress(progressed).await })
    }
}
