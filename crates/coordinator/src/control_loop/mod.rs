//! The loop that everything a coordinator does runs in: a round, a pause, and so on until the shutdown. A round that fails
//! begins an outage: pauses grow, one line is logged when it begins and one when it ends.

use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use limekiln_jobs::Retryable;
use limekiln_jobs::retry::{Backoff, Policy};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// Pauses between the rounds of an outage.
const OUTAGE: Policy = Policy::new(Duration::from_millis(250), Duration::from_secs(10));

/// When the next round is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// There is more to do.
    Now,
    /// After this long, or earlier where [`ControlLoop::pause`] ends early.
    After(Duration),
}

impl Next {
    /// There is more to do, and it can wait: it gets a fifth of the time at most, the rest is left to live edits.
    pub(crate) fn paced(began: Instant) -> Self {
        Self::After(began.elapsed().saturating_mul(4))
    }
}

/// One thing that a coordinator does again and again. In metrics it is a "duty".
pub(crate) trait ControlLoop: Send {
    /// In logs and metrics.
    const NAME: &'static str;
    /// A round that takes longer is dropped, and counts as failed.
    const ROUND_TIMEOUT: Duration = Duration::from_secs(60);

    /// Does what is due.
    fn round(&mut self) -> impl Future<Output = Result<Next, Error>> + Send;

    /// Waits for the next round; may return early.
    fn pause(&mut self, pause: Duration) -> impl Future<Output = ()> + Send {
        sleep(pause)
    }

    /// Ends what is under way, within seconds: the process is about to exit.
    fn finish(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Runs the loop until `shutdown`. A round under way is finished first.
pub(crate) async fn run<L: ControlLoop>(mut control_loop: L, shutdown: CancellationToken) {
    metrics::gauge!("limekiln_duty_up", "duty" => L::NAME).set(1.0);
    let mut outage: Option<Outage> = None;
    while !shutdown.is_cancelled() {
        let failed = match timeout(L::ROUND_TIMEOUT, control_loop.round()).await {
            Ok(Ok(next)) => {
                if let Some(outage) = outage.take() {
                    outage.ended(L::NAME);
                }
                match next {
                    // A busy loop, too, gives way to the others, and to the shutdown.
                    Next::Now => tokio::task::yield_now().await,
                    Next::After(pause) => {
                        tokio::select! {
                            () = shutdown.cancelled() => {}
                            () = control_loop.pause(pause) => {}
                        }
                    }
                }
                continue;
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        let outage = outage.get_or_insert_with(Outage::new);
        let pause = outage.round_failed(L::NAME, failed.as_ref());
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
    control_loop.finish().await;
}

struct Outage {
    since: Instant,
    rounds: u32,
    backoff: Backoff,
}

impl Outage {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            rounds: 0,
            backoff: OUTAGE.start(),
        }
    }

    /// Logs the first failure of the outage, and returns how long to pause.
    fn round_failed(&mut self, duty: &'static str, error: Option<&Error>) -> Duration {
        metrics::counter!("limekiln_duty_failed_total", "duty" => duty).increment(1);
        let words = error.map_or_else(|| "took too long".to_owned(), ToString::to_string);
        if self.rounds > 0 {
            tracing::debug!(duty, error = words, rounds = self.rounds, "still failing");
        } else {
            metrics::gauge!("limekiln_duty_up", "duty" => duty).set(0.0);
            if error.is_none_or(Retryable::is_transient) {
                tracing::warn!(duty, error = words, "failing; will try until it works");
            } else {
                tracing::error!(
                    duty,
                    error = words,
                    "failing, and not for a passing reason; will go on trying"
                );
            }
        }
        self.rounds = self.rounds.saturating_add(1);
        self.backoff.delay()
    }

    fn ended(self, duty: &'static str) {
        metrics::gauge!("limekiln_duty_up", "duty" => duty).set(1.0);
        let seconds = self.since.elapsed().as_secs_f32();
        tracing::info!(duty, seconds, rounds = self.rounds, "works again");
    }
}

/// The time give or take a fifth, so that what is due at one moment everywhere spreads out.
pub(crate) fn jitter(time: Duration) -> Duration {
    // The standard library seeds each map differently; that is randomness enough here.
    let random = RandomState::new().build_hasher().finish();
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    time.mul_f64(0.8 + 0.4 * share)
}

#[cfg(test)]
mod tests;
