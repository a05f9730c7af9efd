//! Announcements: one message an edit, which tells a worker that it may claim the edit.

use std::collections::BTreeSet;

use limekiln_broker::{Broker, Hint};
use limekiln_jobs::{Class, EditId, ModelName};
use limekiln_store::{Announcement, Overdue};

/// The announcements that the broker did not confirm, and the last of its reasons.
#[derive(Default)]
pub(crate) struct Unconfirmed {
    pub(crate) edits: Vec<EditId>,
    pub(crate) error: Option<limekiln_broker::Error>,
}

/// Publishes announcements, and logs once when those of a model begin or cease to fail.
#[derive(Clone)]
pub(crate) struct Announcer {
    broker: Broker,
    /// Models whose last announcement failed.
    failing: BTreeSet<ModelName>,
}

impl Announcer {
    pub(crate) fn new(broker: Broker) -> Self {
        Self {
            broker,
            failing: BTreeSet::new(),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.broker.is_connected()
    }

    /// How many messages the queue holds.
    pub(crate) async fn waiting(&self, queue: &Overdue) -> limekiln_broker::Result<u64> {
        let waiting = self
            .broker
            .waiting(&queue.model, queue.class, queue.cohort.as_deref());
        waiting.await
    }

    /// Offers an edit to the worker that has at hand what its parent left.
    pub(crate) fn offer(&self, announcement: &Announcement) {
        if let Some(worker) = announcement.warm {
            self.broker.offer(worker, &hint(announcement));
        }
    }

    /// Publishes all of them and waits until each is confirmed or not.
    pub(crate) async fn announce(&mut self, announcements: &[Announcement]) -> Unconfirmed {
        let hints: Vec<Hint> = announcements.iter().map(hint).collect();
        let results = self.broker.announce(&hints).await;
        let mut failed = Unconfirmed::default();
        for (announcement, result) in announcements.iter().zip(results) {
            match result {
                Ok(()) => {
                    if !self.failing.is_empty() && self.failing.remove(&announcement.model) {
                        tracing::info!(model = %announcement.model, "announcements get through again");
                    }
                }
                Err(error) => {
                    metrics::counter!("limekiln_announce_failed_total").increment(1);
                    if self.failing.insert(announcement.model.clone()) {
                        tracing::warn!(model = %announcement.model, edit = %announcement.edit, %error, "can't announce");
                    }
                    failed.edits.push(announcement.edit);
                    failed.error = Some(error);
                }
            }
        }
        failed
    }
}

fn hint(announcement: &Announcement) -> Hint {
    Hint {
        edit: announcement.edit,
        tenant: announcement.tenant,
        model: announcement.model.clone(),
        class: match announcement.ahead {
            true => Class::Interactive,
            false => announcement.class,
        },
        cohort: announcement.cohort.clone(),
        announcement: announcement.announcement,
        trace: announcement.trace.clone(),
    }
}
