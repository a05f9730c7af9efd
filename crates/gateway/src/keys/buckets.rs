//! A bucket of requests for each key. Each gateway counts for itself: behind a balancer a key may send as many times more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use limekiln_jobs::KeyId;

/// Most keys whose buckets are kept. One that is forgotten is full again.
const BUCKETS_MAX: usize = 10_000;

/// What is left of a limit, for the `RateLimit-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// How many there may be at most.
    pub(crate) limit: u64,
    /// How many more there may be now.
    pub(crate) remaining: u64,
    /// Seconds until all of them may be again.
    pub(crate) reset_s: u64,
}

/// Buckets by key.
#[derive(Default)]
pub(crate) struct Buckets(Mutex<HashMap<KeyId, Bucket>>);

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Buckets {
    /// Takes one token out of the key's bucket, which holds `burst` and gets `per_second`. Returns what is left; without a
    /// token, how long until there is one too.
    pub(crate) fn take(
        &self,
        key: KeyId,
        per_second: f64,
        burst: u32,
    ) -> Result<Quota, (Quota, Duration)> {
        self.take_at(Instant::now(), key, per_second, burst)
    }

    fn take_at(
        &self,
        now: Instant,
        key: KeyId,
        per_second: f64,
        burst: u32,
    ) -> Result<Quota, (Quota, Duration)> {
        let burst_tokens = f64::from(burst);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&key) {
            make_room(&mut buckets, now);
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            tokens: burst_tokens,
            at: now,
        });
        let waited = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + waited * per_second).min(burst_tokens);
        bucket.at = now;
        let taken = bucket.tokens >= 1.0;
        if taken {
            bucket.tokens -= 1.0;
        }
        let quota = Quota {
            limit: u64::from(burst),
            remaining: bucket.tokens as u64,
            reset_s: ((burst_tokens - bucket.tokens) / per_second).ceil() as u64,
        };
        if taken {
            return Ok(quota);
        }
        let wait = (1.0 - bucket.tokens) / per_second;
        Err((
            quota,
            Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX),
        ))
    }
}

/// Forgets the buckets that were not used for a minute, or all when that is none.
fn make_room(buckets: &mut HashMap<KeyId, Bucket>, now: Instant) {
    let minute = Duration::from_secs(60);
    buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < minute);
    if buckets.len() >= BUCKETS_MAX {
        buckets.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let (buckets, key, start) = (Buckets::default(), KeyId::new(), Instant::now());
        let take = |after_ms| buckets.take_at(start + Duration::from_millis(after_ms), key, 2.0, 3);
        assert_eq!(take(0).map(|quota| quota.remaining), Ok(2));
        assert_eq!(take(0).map(|quota| quota.remaining), Ok(1));
        let last = Quota {
            limit: 3,
            remaining: 0,
            reset_s: 2,
        };
        assert_eq!(take(0), Ok(last));
        assert_eq!(take(0), Err((last, Duration::from_millis(500))));
        assert!(take(499).is_err());
        assert!(
            take(500).is_ok(),
            "whoever waits as long as was said is let in"
        );
        assert_eq!(take(60_000).map(|quota| quota.remaining), Ok(2));
        let other = buckets.take_at(start, KeyId::new(), 2.0, 3);
        assert_eq!(other.map(|quota| quota.remaining), Ok(2), "another key's");
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        for _ in 0..2 * BUCKETS_MAX + 10 {
            let _ = buckets.take_at(now, KeyId::new(), 1.0, 1);
        }
        assert!(buckets.0.lock().unwrap().len() <= BUCKETS_MAX);
    }
}
