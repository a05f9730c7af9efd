//! Pruning by age: events, checkpoints, ended edits, catalogs, files, sessions, images, deliveries, their former secrets, workers that are gone. One
//! coordinator does it for all.
//!
//! Rows go here, and their blobs are listed for [`deletions`](crate::deletions) in the same statements.

use std::time::Duration;

use limekiln_store::{Pruned, Store};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::control_loop::{ControlLoop, Next};
use crate::{Error, Retention};

/// The most rows of one statement.
const LIMIT: u32 = 500;
/// Workers not heard of for this long are forgotten.
const WORKERS: Duration = Duration::from_secs(86_400);
/// How often the lines are counted anew.
const RECOUNT: Duration = Duration::from_secs(86_400);

/// The loop that removes what is old enough, a statement of each kind a round.
pub(crate) struct Prune {
    store: Store,
    retention: Retention,
    /// From where the next look at each goes on: what stays is not looked at again before all was.
    edits: Look,
    sessions: Look,
    images: Look,
    /// There is more to look at, and it is this coordinator's turn.
    more: bool,
    recounted: Option<Instant>,
}

/// How far a walk through old rows has come.
#[derive(Default)]
struct Look(Option<OffsetDateTime>);

impl Look {
    fn went(&mut self, pruned: Pruned) -> u64 {
        self.0 = pruned.next;
        pruned.count
    }
}

impl Prune {
    pub(crate) fn new(store: Store, retention: Retention) -> Self {
        Self {
            store,
            retention,
            edits: Look::default(),
            sessions: Look::default(),
            images: Look::default(),
            more: false,
            recounted: None,
        }
    }

    /// A statement of each kind; returns what each removed.
    async fn statements(&mut self) -> Result<Vec<(&'static str, u64)>, Error> {
        let Retention {
            events,
            checkpoints,
            edits,
            catalogs,
            sessions,
            images,
            intermediate_bytes,
            ..
        } = self.retention;
        let store = &self.store;
        let mut counts = vec![
            ("webhooks", store.webhooks_prune(events, LIMIT).await?),
            (
                "session_events",
                store.session_events_prune(events, LIMIT).await?,
            ),
            (
                "checkpoints",
                store.checkpoints_expire(checkpoints, LIMIT).await?,
            ),
        ];
        let evicted = store.intermediates_evict(intermediate_bytes, sessions, LIMIT);
        counts.push(("intermediates", evicted.await?));
        if let Some(age) = catalogs {
            counts.push(("catalogs", store.catalogs_prune(age, LIMIT).await?));
        }
        counts.push(("files", store.files_expire(LIMIT).await?));
        self.more = counts.iter().any(|(_, count)| *count >= u64::from(LIMIT));
        if let Some(age) = edits {
            let pruned = store
                .edits_prune(age, sessions, self.edits.0, LIMIT)
                .await?;
            counts.push(("edits", self.edits.went(pruned)));
        }
        if let Some(age) = sessions {
            let pruned = store.sessions_prune(age, self.sessions.0, LIMIT).await?;
            counts.push(("sessions", self.sessions.went(pruned)));
        }
        if let Some(age) = images {
            let pruned = store.images_expire(age, self.images.0, LIMIT).await?;
            counts.push(("images", self.images.went(pruned)));
        }
        self.more |= [&self.edits, &self.sessions, &self.images]
            .iter()
            .any(|look| look.0.is_some());
        if !self.more {
            // The last round of a walk, or the only one.
            counts.push(("webhook_secrets", store.webhook_secrets_prune().await?));
            counts.push(("workers", store.workers_prune(WORKERS).await?));
            let kept = store.intermediates_bytes().await? as f64;
            metrics::gauge!("limekiln_intermediates_bytes").set(kept);
            let dropped = store.events_months(events).await?;
            if !dropped.is_empty() {
                tracing::info!(parts = dropped.join(", "), "months of events were dropped");
            }
            counts.push(("event_months", dropped.len() as u64));
        }
        Ok(counts)
    }
}

impl ControlLoop for Prune {
    const NAME: &'static str = "prune";
    const ROUND_TIMEOUT: Duration = Duration::from_secs(300);

    async fn round(&mut self) -> Result<Next, Error> {
        let began = Instant::now();
        let every = self.retention.prune_every;
        let pause = if self.more { Duration::ZERO } else { every };
        if !self.store.prune_begin(pause).await? {
            return Ok(Next::After(every));
        }
        if self.recounted.is_none_or(|at| at.elapsed() >= RECOUNT) {
            let wrong = self.store.lines_recount().await?;
            if wrong > 0 {
                tracing::warn!(
                    lines = wrong,
                    "counts of what waits were wrong, and are put right"
                );
            }
            self.recounted = Some(Instant::now());
        }
        for (what, count) in self.statements().await? {
            metrics::counter!("limekiln_pruned_total", "what" => what).increment(count);
            if count > 0 {
                tracing::debug!(what, count, "pruned");
            }
        }
        Ok(if self.more {
            Next::paced(began)
        } else {
            Next::After(every)
        })
    }
}
