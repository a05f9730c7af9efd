//! The kinds of writes there are.

use std::collections::HashSet;
use std::time::Duration;

use limekiln_jobs::{EditId, Epoch, WorkerId};
use limekiln_store::{Checkpointed, Claimed, Completion, Failed, Progressed, Result, Store, Write};

use super::lane::Statement;
use crate::leases::Leases;

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

    /// A claim whose answer was lost may have been done, and then nobody else can claim the edit: ask for it first. But
    /// never for an edit that is under way here.
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
}

pub(super) struct Progresses(pub(super) Store);

impl Statement for Progresses {
    const NAME: &'static str = "progress";
    type Item = Progressed;
    type Answer = Write;

    async fn write(&self, items: &[Progressed], _: bool) -> Result<Vec<Write>> {
        self.0.edits_progress(items).await
    }
}

pub(super) struct Checkpoints(pub(super) Store);

impl Statement for Checkpoints {
    const NAME: &'static str = "checkpoint";
    type Item = Checkpointed;
    type Answer = (Write, Option<String>);

    async fn write(&self, items: &[Checkpointed], _: bool) -> Result<Vec<Self::Answer>> {
        self.0.edits_checkpoint(items).await
    }
}

pub(super) struct Completions(pub(super) Store);

impl Statement for Completions {
    const NAME: &'static str = "complete";
    type Item = Completion;
    type Answer = Write;

    async fn write(&self, items: &[Completion], _: bool) -> Result<Vec<Write>> {
        self.0.edits_complete(items).await
    }
}

pub(super) struct Failures(pub(super) Store);

impl Statement for Failures {
    const NAME: &'static str = "fail";
    type Item = Failed;
    type Answer = Write;

    async fn write(&self, items: &[Failed], _: bool) -> Result<Vec<Write>> {
        self.0.edits_fail(items).await
    }
}

pub(super) struct HandBacks(pub(super) Store);

impl Statement for HandBacks {
    const NAME: &'static str = "hand_back";
    type Item = (EditId, Epoch);
    type Answer = Write;

    async fn write(&self, items: &[(EditId, Epoch)], _: bool) -> Result<Vec<Write>> {
        self.0.edits_hand_back(items).await
    }
}
