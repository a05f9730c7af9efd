//! When to try again, for every crate that talks to a service: an error says what [kind](ErrorKind) it is, and a
//! [`Policy`] says how long to wait between two tries and when to stop.
//!
//! ```
//! # use limekiln_jobs::retry::{ErrorKind, Policy, Retryable};
//! # use std::time::Duration;
//! # struct Away;
//! # impl Retryable for Away { fn kind(&self) -> ErrorKind { ErrorKind::Transient } }
//! # fn call() -> Result<(), Away> { Err(Away) }
//! const POLICY: Policy = Policy::new(Duration::from_millis(1), Duration::from_millis(4)).tries(3);
//! let mut backoff = POLICY.start();
//! while let Err(error) = call() {
//!     let Some(delay) = backoff.after(&error) else { break };
//!     std::thread::sleep(delay);
//! }
//! ```

use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// What an error means for whoever met it. Retries look at nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A service is away, busy or restarting, or a deadlock was broken: the same call may succeed later.
    Transient,
    /// What was asked for is not there.
    NotFound,
    /// The bytes that came are not those that were stored.
    Corrupt,
    /// There are more bytes than the caller takes.
    TooLarge,
    /// The service refuses our credentials, or they lack a permission.
    Denied,
    /// The caller asked for something that cannot be.
    Request,
    /// A service is not set up as this program needs it (schema, settings): an operator has to act.
    Setup,
    /// Anything else: a defect, or an answer that this program does not understand.
    Internal,
}

/// An error that knows its kind.
pub trait Retryable {
    /// What the error means for whoever met it.
    fn kind(&self) -> ErrorKind;

    /// Whether a disk is full, so that somebody has to make room before the same call succeeds.
    fn is_disk_full(&self) -> bool {
        false
    }

    /// Whether the same call may succeed later without any change.
    fn is_transient(&self) -> bool {
        self.kind() == ErrorKind::Transient
    }
}

/// How long to wait between tries, and for how long to try.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    first: Duration,
    most: Duration,
    factor: f32,
    tries: Option<u32>,
    patience: Option<Duration>,
}

impl Policy {
    /// Tries for ever. The delay is `first` after the first failure and doubles up to `most`; jitter takes up to half of
    /// it away, so that processes that one outage stopped do not come back at one moment.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            factor: 2.0,
            tries: None,
            patience: None,
        }
    }

    /// Multiplies the delay by `factor` instead of doubling it.
    #[must_use]
    pub const fn factor(mut self, factor: f32) -> Self {
        self.factor = factor;
        self
    }

    /// Stops after that many tries, the first one included.
    #[must_use]
    pub const fn tries(mut self, tries: u32) -> Self {
        self.tries = Some(tries);
        self
    }

    /// Stops at the first failure that comes later than this after [`start`](Self::start).
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// The delay after that many earlier failures in a row, without jitter.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        // Doublings beyond that reach any bound.
        let failures = failures.min(64) as usize;
        let mut delays = self.exponential(self.first, self.most).build();
        delays.nth(failures).unwrap_or(self.most).min(self.most)
    }

    /// Begins to count tries and time.
    #[must_use]
    pub fn start(&self) -> Backoff {
        Backoff {
            policy: *self,
            delays: self.jittered(),
            tried: 1,
            since: Instant::now(),
        }
    }

    fn exponential(&self, first: Duration, most: Duration) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(first)
            .with_max_delay(most)
            .with_factor(self.factor)
            .without_max_times()
    }

    /// `backon` adds up to as much again to each delay, so the halves of our bounds make our bounds.
    fn jittered(&self) -> ExponentialBackoff {
        self.exponential(self.first / 2, self.most / 2)
            .with_jitter()
            .build()
    }
}

/// The delays of one call that fails again and again.
#[derive(Debug)]
pub struct Backoff {
    policy: Policy,
    delays: ExponentialBackoff,
    tried: u32,
    since: Instant,
}

impl Backoff {
    /// How long to wait before the call is tried again; `None` when that would not help, or was tried often or long
    /// enough.
    pub fn after(&mut self, error: &(impl Retryable + ?Sized)) -> Option<Duration> {
        error.is_transient().then(|| self.next()).flatten()
    }

    /// The next delay, however often and long was tried.
    pub fn delay(&mut self) -> Duration {
        self.delays.next().unwrap_or(self.policy.most)
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        *self = self.policy.start();
    }
}

/// The delays whatever fails, until the policy's bounds.
impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let tries_left = self.policy.tries.is_none_or(|tries| self.tried < tries);
        let time_left = |patience| self.since.elapsed() <= patience;
        if !tries_left || !self.policy.patience.is_none_or(time_left) {
            return None;
        }
        self.tried = self.tried.saturating_add(1);
        Some(self.delay())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    impl Retryable for ErrorKind {
        fn kind(&self) -> ErrorKind {
            *self
        }
    }

    #[test]
    fn delays_double_up_to_their_bound_and_jitter_takes_at_most_half() {
        let policy = Policy::new(SECOND, 10 * SECOND);
        let plain_s = [1, 2, 4, 8, 10, 10, 10];
        for (failures, plain_s) in (0_u32..).zip(plain_s) {
            assert_eq!(policy.delay(failures), plain_s * SECOND);
        }
        assert_eq!(policy.delay(u32::MAX), 10 * SECOND);
        let mut spread = Vec::new();
        for _ in 0..200 {
            for (delay, plain_s) in policy.start().zip(plain_s) {
                let share = delay.as_secs_f64() / f64::from(plain_s);
                assert!((0.499..1.001).contains(&share), "{delay:?} of {plain_s} s");
                spread.push(share);
            }
        }
        let has = |from: f64| {
            spread
                .iter()
                .any(|share| (from..from + 0.1).contains(share))
        };
        assert!(has(0.5) && has(0.7) && has(0.9));
        assert_eq!(policy.factor(3.0).delay(2), 9 * SECOND);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        use ErrorKind::*;
        let mut backoff = Policy::new(SECOND, SECOND).start();
        assert!(backoff.after(&Transient).is_some());
        for kind in [
            NotFound, Corrupt, TooLarge, Denied, Request, Setup, Internal,
        ] {
            assert_eq!(backoff.after(&kind), None, "{kind:?}");
        }
    }

    #[test]
    fn tries_and_patience_are_bounds() {
        let mut backoff = Policy::new(SECOND, SECOND).tries(3).start();
        assert_eq!(backoff.by_ref().count(), 2);
        assert!(backoff.delay() <= SECOND);
        backoff.reset();
        assert_eq!(backoff.count(), 2);
        let impatient = Policy::new(SECOND, SECOND).patience(Duration::ZERO);
        let mut backoff = impatient.start();
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(backoff.next(), None);
    }
}
