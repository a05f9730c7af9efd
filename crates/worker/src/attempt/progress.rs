//! When an edit's progress is written: its region at once, else soon after a stage begins, then once a second.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use limekiln_store::{Claimed, Progressed, Write, WriteError};
use tokio::time::{Instant, sleep_until};

use super::abort::LeaseLost;
use super::events;
use crate::context::Context;
use crate::{Progress, Signal, metrics};

/// The time from one event to the next within a stage.
const INTERVAL: Duration = Duration::from_secs(1);
/// The time to an event that says that a stage began, or that the last one ended. Edits that are shorter report nothing.
const STAGE_DELAY: Duration = Duration::from_millis(250);

type Writing = Pin<Box<dyn Future<Output = Result<Write, WriteError>> + Send>>;

/// Writes the newest progress when it is due, one write at a time.
pub(super) struct ProgressReporter<'a> {
    ctx: &'a Arc<Context>,
    claimed: &'a Claimed,
    newest: Option<Progress>,
    reported: Option<Progress>,
    reported_at: Instant,
    /// The region, until it is written.
    located: Option<String>,
    /// What is being written, and whether the region is in it.
    writing: Option<(Progress, bool, Writing)>,
}

impl<'a> ProgressReporter<'a> {
    pub(super) fn new(ctx: &'a Arc<Context>, claimed: &'a Claimed) -> Self {
        Self {
            ctx,
            claimed,
            newest: None,
            reported: None,
            reported_at: Instant::now(),
            located: None,
            writing: None,
        }
    }

    /// Notes where the edit stands now.
    pub(super) fn update(&mut self, progress: Progress) {
        self.newest = Some(progress);
    }

    /// Notes the region: it is written at once, for people watch who may want to stop an edit of the wrong thing.
    pub(super) fn located(&mut self, png: &[u8]) {
        if !self.claimed.located {
            self.located = Some(BASE64_STANDARD.encode(png));
        }
    }

    /// Reports for as long as it is polled, and ends only when the lease is lost. Cancel safe.
    pub(super) async fn run(&mut self) -> LeaseLost {
        loop {
            if self.writing.is_none() {
                let Some((at, progress)) = self.due() else {
                    return pending().await;
                };
                sleep_until(at).await;
                self.begin(progress);
            }
            if let Err(lost) = self.written().await {
                return lost;
            }
        }
    }

    /// Writes the region now, of an edit that is done before its progress was due. Cancel safe.
    pub(super) async fn tell_located(&mut self) -> Result<(), LeaseLost> {
        let told = |writing: &Option<(Progress, bool, Writing)>| {
            writing.as_ref().is_none_or(|(_, located, _)| !located)
        };
        while self.located.is_some() || !told(&self.writing) {
            if self.writing.is_none() {
                let Some(progress) = self.newest else {
                    return Ok(());
                };
                self.begin(progress);
            }
            self.written().await?;
        }
        Ok(())
    }

    fn begin(&mut self, progress: Progress) {
        let located = self.located.take();
        self.writing = Some((progress, located.is_some(), self.write(progress, located)));
    }

    /// Waits for the write under way, and tells of it.
    async fn written(&mut self) -> Result<(), LeaseLost> {
        let Some((progress, located, writing)) = &mut self.writing else {
            return Ok(());
        };
        let (progress, located, write) = (*progress, *located, writing.await);
        self.writing = None;
        self.reported = Some(progress);
        self.reported_at = Instant::now();
        match write {
            Ok(Write::Applied { seq }) if located => {
                // In the order in which Postgres has both.
                for seq in [seq.saturating_sub(1), seq] {
                    events::stored(self.ctx, self.claimed.edit, seq).await;
                }
            }
            Ok(Write::Applied { seq }) => {
                events::progress(self.ctx, self.claimed, seq, progress);
            }
            Ok(Write::Stale | Write::Missing) => {
                metrics::stale("progress");
                let signal = Signal::Stale(self.claimed.edit, self.claimed.epoch);
                self.ctx.settings.signals.emit(signal);
                return Err(LeaseLost);
            }
            Err(error) => tracing::warn!(%error, "progress is not recorded"),
        }
        Ok(())
    }

    /// The progress that is not reported yet, and when it is due.
    fn due(&self) -> Option<(Instant, Progress)> {
        let newest = self
            .newest
            .filter(|newest| Some(*newest) != self.reported)?;
        let new_stage = self
            .reported
            .is_none_or(|reported| reported.stage != newest.stage);
        let delay = if self.located.is_some() {
            Duration::ZERO
        } else if new_stage || newest.is_done() {
            STAGE_DELAY
        } else {
            INTERVAL
        };
        Some((self.reported_at + delay, newest))
    }

    fn write(&self, progress: Progress, located: Option<String>) -> Writing {
        let ledger = self.ctx.ledger.clone();
        let progressed = Progressed {
            edit: self.claimed.edit,
            epoch: self.claimed.epoch,
            stage: progress.stage.to_owned(),
            step: progress.step,
            steps: progress.steps,
            located,
        };
        Box::pin(async move { ledger.edit_progress(progressed).await })
    }
}
