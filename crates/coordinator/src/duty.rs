//! The loop every duty lives in: a round, a rest, and so on until told to stop. A round that fails is an outage: the
//! rest grows, one line says so when it begins and one when it ends.

use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use limekiln_jobs::Retryable;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// The first rest of an outage.
const OUTAGE_REST: Duration = Duration::from_millis(250);
/// The longest.
const OUTAGE_REST_MOST: Duration = Duration::from_secs(10);

/// When the next round is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// There is more to do.
    Now,
    /// After this long, or as soon as the duty hears of something.
    After(Duration),
}

impl Next {
    /// There is more, and it can wait: a fifth of the time goes to it at most, and the rest to what is live.
    pub(crate) fn paced(begun: Instant) -> Self {
        Self::After(begun.elapsed().saturating_mul(4))
    }
}

/// One thing a coordinator does again and again.
pub(crate) trait Duty: Send {
    /// In logs and metrics.
    const NAME: &'static str;
    /// A round that takes longer is given up; the next one starts over.
    const ROUND: Duration = Duration::from_secs(60);

    /// Does what is due.
    fn round(&mut self) -> impl Future<Output = Result<Next, Error>> + Send;

    /// Rests; may return early when something was heard.
    fn rest(&mut self, pause: Duration) -> impl Future<Output = ()> + Send {
        sleep(pause)
    }

    /// Brings what is under way to its end, within seconds: the process is about to end.
    fn finish(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Attends to the duty until `shutdown`. A round under way is finished first.
pub(crate) async fn attend<D: Duty>(mut duty: D, shutdown: CancellationToken) {
    metrics::gauge!("limekiln_duty_up", "duty" => D::NAME).set(1.0);
    let mut outage: Option<Outage> = None;
    while !shutdown.is_cancelled() {
        let failed = match timeout(D::ROUND, duty.round()).await {
            Ok(Ok(next)) => {
                if let Some(outage) = outage.take() {
                    outage.ended(D::NAME);
                }
                match next {
                    // Even a busy duty lets the others have the connection, and hears the shutdown.
                    Next::Now => tokio::task::yield_now().await,
                    Next::After(pause) => {
                        tokio::select! {
                            () = shutdown.cancelled() => {}
                            () = duty.rest(pause) => {}
                        }
                    }
                }
                continue;
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        let outage = outage.get_or_insert_with(Outage::new);
        let rest = outage.round_failed(D::NAME, failed.as_ref());
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(rest) => {}
        }
    }
    duty.finish().await;
}

struct Outage {
    since: Instant,
    rounds: u32,
}

impl Outage {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            rounds: 0,
        }
    }

    /// Logs the first failure of the outage; says how long to rest.
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
        let rest = OUTAGE_REST
            .saturating_mul(1 << self.rounds.min(16))
            .min(OUTAGE_REST_MOST);
        self.rounds = self.rounds.saturating_add(1);
        jitter(rest)
    }

    fn ended(self, duty: &'static str) {
        metrics::gauge!("limekiln_duty_up", "duty" => duty).set(1.0);
        let seconds = self.since.elapsed().as_secs_f32();
        tracing::info!(duty, seconds, rounds = self.rounds, "works again");
    }
}

/// Give or take a fifth, so that coordinators stopped by the same thing don't all come back at once.
pub(crate) fn jitter(pause: Duration) -> Duration {
    // The standard library seeds each map differently; that is randomness enough here.
    let random = RandomState::new().build_hasher().finish();
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    pause.mul_f64(0.8 + 0.4 * share)
}

#[cfg(test)]
mod tests;
