//! How long a failed edit waits for its next attempt.

use crate::ids::EditId;
use crate::retry::Policy;
use crate::state::Epoch;
use std::time::Duration;

/// The waits, jitter apart.
const WAITS: Policy = Policy::new(Duration::from_secs(1), Duration::from_secs(60)).factor(4.0);

/// The wait after that many attempts (from 1): 1 s, 4 s, 16 s, then 60 s, each within 20 % either way.
///
/// The jitter comes from the edit and its epoch, not from chance: edits that failed together come back apart, and whoever
/// computes the wait gets the same one.
pub fn backoff(attempts: u16, edit: EditId, epoch: Epoch) -> Duration {
    let plain = WAITS.delay(attempts.saturating_sub(1).into());
    let mut hasher = blake3::Hasher::new();
    hasher.update(edit.uuid().as_bytes());
    hasher.update(&epoch.get().to_le_bytes());
    let hash = hasher.finalize();
    let sixteen_bits = u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]);
    plain.mul_f64(0.8 + 0.4 * f64::from(sixteen_bits) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_cap_within_its_jitter() {
        for _ in 0..200 {
            let edit = EditId::new();
            for (attempts, plain_s) in [
                (0, 1.0),
                (1, 1.0),
                (2, 4.0),
                (3, 16.0),
                (4, 60.0),
                (5, 60.0),
                (u16::MAX, 60.0),
            ] {
                let wait_s = backoff(attempts, edit, Epoch::new(u32::from(attempts))).as_secs_f64();
                assert!(
                    (0.8 * plain_s..=1.2 * plain_s).contains(&wait_s),
                    "{attempts}: {wait_s}"
                );
            }
        }
    }

    #[test]
    fn the_same_for_the_same_edit_and_epoch_and_spread_over_edits() {
        let edit = EditId::new();
        assert_eq!(
            backoff(2, edit, Epoch::new(5)),
            backoff(2, edit, Epoch::new(5))
        );
        let waits = || (0..100).map(|_| backoff(1, EditId::new(), Epoch::new(1)).as_secs_f64());
        assert!(waits().any(|wait_s| wait_s < 0.95));
        assert!(waits().any(|wait_s| wait_s > 1.05));
    }
}
