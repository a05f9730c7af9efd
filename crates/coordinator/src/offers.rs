//! Turns that are offered to one worker before they are announced to all: to that of their parent, which has in memory what it left,
//! where a slot of it was free a moment ago. None waits for it: what it has not claimed by then is announced to all. Offers of a
//! coordinator that dies are found by [`Reannounce`](crate::reannounce::Reannounce), as lost messages are.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use limekiln_store::{Announcement, Store};
use tokio::time::Instant;

use crate::Error;
use crate::announcer::{Announcer, Unconfirmed};

/// The offers that stand.
pub(crate) struct Offers {
    stand: Duration,
    standing: VecDeque<(Instant, Vec<Announcement>)>,
}

impl Offers {
    /// None yet; each stands for so long.
    pub(crate) fn new(stand: Duration) -> Self {
        Self {
            stand,
            standing: VecDeque::new(),
        }
    }

    /// Offers those of `released` that have a worker to offer them to; the others are left.
    pub(crate) fn make(
        &mut self,
        announcer: &Announcer,
        released: Vec<Announcement>,
    ) -> Vec<Announcement> {
        let (offered, rest): (Vec<_>, Vec<_>) =
            released.into_iter().partition(|one| one.warm.is_some());
        if !offered.is_empty() {
            for one in &offered {
                announcer.offer(one);
            }
            self.standing
                .push_back((Instant::now() + self.stand, offered));
        }
        rest
    }

    /// How long the first of them still stands; `longest` where none does.
    pub(crate) fn next_within(&self, longest: Duration) -> Duration {
        let left = |(until, _): &(Instant, _)| until.saturating_duration_since(Instant::now());
        self.standing.front().map_or(longest, left).min(longest)
    }

    /// Announces what was not taken of those that have stood long enough, or of all where the process ends.
    pub(crate) async fn end(
        &mut self,
        store: &Store,
        announcer: &mut Announcer,
        all: bool,
    ) -> Result<Unconfirmed, Error> {
        let mut failed = Unconfirmed::default();
        while let Some((until, offered)) = self.standing.front()
            && (all || *until <= Instant::now())
        {
            let edits: Vec<_> = offered.iter().map(|one| one.edit).collect();
            let left: HashSet<_> = store.edits_unclaimed(&edits).await?.into_iter().collect();
            let passed = offered.iter().filter(|one| left.contains(&one.edit));
            let passed: Vec<_> = passed.cloned().collect();
            metrics::counter!("limekiln_offers_total", "outcome" => "taken")
                .increment((edits.len() - passed.len()) as u64);
            metrics::counter!("limekiln_offers_total", "outcome" => "passed")
                .increment(passed.len() as u64);
            self.standing.pop_front();
            let announced = announcer.announce(&passed).await;
            failed.edits.extend(announced.edits);
            failed.error = announced.error.or(failed.error);
        }
        Ok(failed)
    }
}
