//! The kinds of writes, each a statement over arrays.

use std::collections::HashSet;
use std::time::Duration;

use limekiln_jobs::{EditId, Epoch, Needs, WorkerId};
use limekiln_store::{
    Checkpointed, Claimed, Completion, Failed, Progressed, Result, Statement, Store, Write,
};

use crate::leases::Leases;
use crate::metrics;

pub(super) struct Claims {
    pub(super) store: Store,
    pub(super) worker: WorkerId,
    pub(super) lease_ttl: Duration,
    pub(super) leases: Leases,
}

impl Statement for Claims {
    const NAME: &'static str = "claim";
    type Item = EditId;
    type Answer = Option<Box<Claimed>>;

    /// A repeated claim first asks for the edits back: the earlier try may have claimed them and its answer been lost, and
    /// then nobody can claim them anew. It never asks for an edit that runs here already, which was claimed by another
    /// message.
    async fn write(&self, edits: &[EditId], again: bool) -> Result<Vec<Self::Answer>> {
        let mut answers: Vec<Self::Answer> = edits.iter().map(|_| None).collect();
        if again {
            let mut seen = HashSet::new();
            let asked: Vec<usize> = (0..edits.len())
                .filter(|&index| !self.leases.holds(edits[index]) && seen.insert(edits[index]))
                .collect();
            let lost: Vec<EditId> = asked.iter().map(|&index| edits[index]).collect();
            let found = self
                .store
                .edits_reclaim(self.worker, &lost, self.lease_ttl)
                .await?;
            for (index, claimed) in asked.into_iter().zip(found) {
                answers[index] = claimed.map(Box::new);
            }
        }
        let asked: Vec<usize> = (0..edits.len())
            .filter(|&index| answers[index].is_none())
            .collect();
        let open: Vec<EditId> = asked.iter().map(|&index| edits[index]).collect();
        if !open.is_empty() {
            let claimed = self
                .store
                .edits_claim(self.worker, &open, self.lease_ttl)
                .await?;
            for (index, claimed) in asked.into_iter().zip(claimed) {
                answers[index] = claimed.map(Box::new);
            }
        }
        Ok(answers)
    }

    fn on_batch(&self, edits: usize) {
        metrics::batch(Self::NAME, edits);
    }

    fn on_retry(&self) {
        metrics::retried(Self::NAME);
    }
}

macro_rules! fenced_writes {
    ($($name:ident, $label:literal: $item:ty => $answer:ty = $write:ident;)*) => {$(
        pub(super) struct $name(pub(super) Store);

        impl Statement for $name {
            const NAME: &'static str = $label;
            type Item = $item;
            type Answer = $answer;

            async fn write(&self, items: &[$item], _again: bool) -> Result<Vec<$answer>> {
                self.0.$write(items).await
            }

            fn on_batch(&self, items: usize) {
                metrics::batch($label, items);
            }

            fn on_retry(&self) {
                metrics::retried($label);
            }
        }
    )*};
}

// Each is fenced by its epoch: a repeat does no harm, and `again` makes no difference.
fenced_writes! {
    Progresses, "progress": Progressed => Write = edits_progress;
    Checkpoints, "checkpoint": Checkpointed => (Write, Option<String>) = edits_checkpoint;
    Completions, "complete": Completion => Write = edits_complete;
    Failures, "fail": Failed => Write = edits_fail;
    HandBacks, "hand_back": (EditId, Epoch, u64) => Write = edits_hand_back;
    Charges, "charge": (EditId, Epoch, u64) => Write = edits_charge;
    PassOns, "pass_on": (EditId, Epoch, Needs) => Write = edits_pass_on;
    StartOvers, "start_over": (EditId, Epoch, String) => Write = edits_start_over;
}
