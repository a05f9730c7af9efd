//! A coordinator and a worker in one small loop: releases, claims, tells of it, completes.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use limekiln_blobs::{Blobs, Key};
use limekiln_broker::Broker;
use limekiln_jobs::{ArtifactKind, EditId, Failure, FailureClass, Live, WorkerId};
use limekiln_store::{Claimed, Completion, Failed, NewArtifact, NewWorker, Progressed, Store};
use tokio::task::JoinHandle;

use super::{Bed, pictures};

const TTL: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(50);

/// Works until it is dropped.
pub(crate) struct Worker(JoinHandle<()>);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a worker does, step by step, for tests that want to see between.
pub(crate) struct Hands {
    id: WorkerId,
    store: Store,
    broker: Broker,
    blobs: Blobs,
    told: HashMap<EditId, u64>,
    silent: bool,
}

impl Hands {
    pub(crate) async fn new(bed: &Bed) -> Self {
        let id = WorkerId::new();
        let worker = NewWorker {
            id,
            name: "small".to_owned(),
            models: vec!["rooms".parse().unwrap()],
            slots: 512,
            version: "0.0.0".to_owned(),
            device: "none".to_owned(),
        };
        bed.store.worker_register(&worker, TTL).await.unwrap();
        Self {
            id,
            store: bed.store.clone(),
            broker: bed.broker.clone(),
            blobs: bed.blobs.clone(),
            told: HashMap::new(),
            silent: false,
        }
    }

    /// One that tells nobody what it does: what it says gets lost.
    pub(crate) async fn silent(bed: &Bed) -> Self {
        Self {
            silent: true,
            ..Self::new(bed).await
        }
    }

    /// Claims whatever is queued.
    pub(crate) async fn claim(&mut self) -> Vec<Claimed> {
        let released = self.store.edits_release(None, 1024, 1024).await.unwrap();
        let edits: Vec<EditId> = released.iter().map(|released| released.edit).collect();
        if edits.is_empty() {
            return Vec::new();
        }
        let claimed = self.store.edits_claim(self.id, &edits, TTL).await.unwrap();
        let claimed: Vec<Claimed> = claimed.into_iter().flatten().collect();
        for edit in &claimed {
            self.tell(edit.edit).await;
        }
        claimed
    }

    pub(crate) async fn progress(&mut self, edit: &Claimed, step: u32) {
        let _ = self
            .store
            .edits_progress(&[progressed(edit, step)])
            .await
            .unwrap();
        self.tell(edit.edit).await;
    }

    pub(crate) async fn complete(&mut self, edit: &Claimed) {
        let picture = pictures::room();
        let artifacts = vec![
            self.put(edit, ArtifactKind::Result, &picture).await,
            self.put(edit, ArtifactKind::Overlay, &picture).await,
        ];
        let completion = Completion {
            edit: edit.edit,
            epoch: edit.epoch,
            artifacts,
            report: Some(
                serde_json::json!({"preset": edit.spec.preset, "mask": edit.mask.is_some()}),
            ),
            gpu_ms: 1500,
        };
        let _ = self.store.edits_complete(&[completion]).await.unwrap();
        self.tell(edit.edit).await;
    }

    pub(crate) async fn fail(&mut self, edit: &Claimed, failure: Failure) {
        let failed = Failed {
            edit: edit.edit,
            epoch: edit.epoch,
            failure,
        };
        let _ = self.store.edits_fail(&[failed]).await.unwrap();
        self.tell(edit.edit).await;
    }

    async fn put(&self, edit: &Claimed, kind: ArtifactKind, bytes: &[u8]) -> NewArtifact {
        let key = Key::edit(edit.tenant, edit.edit, edit.epoch, kind.file_name()).unwrap();
        let bytes = Bytes::copy_from_slice(bytes);
        let stored = self
            .blobs
            .put(&key, bytes, kind.media_type())
            .await
            .unwrap();
        NewArtifact {
            kind,
            key: key.into(),
            digest: stored.digest,
            bytes: stored.bytes,
            media_type: kind.media_type().to_owned(),
            width: Some(64),
            height: Some(48),
        }
    }

    /// Publishes what the log has of an edit and was not told.
    pub(crate) async fn tell(&mut self, edit: EditId) {
        if self.silent {
            return;
        }
        let told = self.told.entry(edit).or_default();
        for event in self.store.events_after(edit, *told, 100).await.unwrap() {
            *told = event.seq;
            self.broker.publish_live(&Live::Event(event));
        }
    }
}

/// An edit at that step.
pub(crate) fn progressed(edit: &Claimed, step: u32) -> Progressed {
    Progressed {
        edit: edit.edit,
        epoch: edit.epoch,
        stage: "apply".to_owned(),
        step,
        steps: 4,
    }
}

/// Does every edit in four steps. Instructions with "impossible" in them fail through the user's doing.
pub(crate) async fn start(bed: &Bed) -> Worker {
    let mut hands = Hands::new(bed).await;
    let mut wakes = bed.broker.wakes().await;
    Worker(tokio::spawn(async move {
        loop {
            let claimed = hands.claim().await;
            for edit in &claimed {
                if edit.spec.instruction.contains("impossible") {
                    let failure =
                        Failure::new(FailureClass::User, "instruction_bad", "that can't be done");
                    hands.fail(edit, failure).await;
                    continue;
                }
                for step in 1..=4 {
                    hands.progress(edit, step).await;
                }
                hands.complete(edit).await;
            }
            if claimed.is_empty() {
                // Woken by submissions; looking now and then catches what a wake was lost for.
                let _ = tokio::time::timeout(TICK, wakes.next()).await;
            }
        }
    }))
}
