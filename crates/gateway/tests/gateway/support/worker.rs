//! A coordinator and a worker in one small loop: releases, claims, tells of it, completes.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use limekiln_blobs::Key;
use limekiln_fixture::{NEVER, TestContext};
use limekiln_jobs::{ArtifactKind, EditId, Failure, FailureClass, Live};
use limekiln_store::{Claimed, Completion, Failed, NewArtifact, Progressed};
use tokio::task::JoinHandle;

use super::{Gateway, pictures};

const TICK: Duration = Duration::from_millis(50);

/// Works until it is dropped.
pub(crate) struct Worker(JoinHandle<()>);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a worker does, step by step, for tests that want to see between.
pub(crate) struct ManualWorker {
    context: TestContext,
    told: HashMap<EditId, u64>,
    silent: bool,
    /// What every edit results in.
    pub(crate) result: Vec<u8>,
    /// Where it was laid over its input, if it was.
    pub(crate) matte: Option<Vec<u8>>,
    /// Its region. Those of older workers keep an overlay, and those of newer ones a region to make it of.
    pub(crate) roi: Option<Vec<u8>>,
}

impl ManualWorker {
    pub(crate) async fn new(gateway: &Gateway) -> Self {
        gateway.context.worker_register(512).await;
        Self {
            context: gateway.context.clone(),
            told: HashMap::new(),
            silent: false,
            result: pictures::room(),
            matte: None,
            roi: None,
        }
    }

    /// One that tells nobody what it does: what it says gets lost.
    pub(crate) async fn silent(gateway: &Gateway) -> Self {
        Self {
            silent: true,
            ..Self::new(gateway).await
        }
    }

    /// Claims whatever is queued.
    pub(crate) async fn claim(&mut self) -> Vec<Claimed> {
        let released = self
            .context
            .store
            .edits_release(None, 1024, 1024)
            .await
            .unwrap();
        let edits: Vec<EditId> = released.iter().map(|released| released.edit).collect();
        if edits.is_empty() {
            return Vec::new();
        }
        let claimed = self
            .context
            .store
            .edits_claim(self.context.worker, &edits, NEVER)
            .await
            .unwrap();
        let claimed: Vec<Claimed> = claimed.into_iter().flatten().collect();
        for edit in &claimed {
            self.tell(edit.edit).await;
        }
        claimed
    }

    pub(crate) async fn progress(&mut self, edit: &Claimed, step: u32) {
        let _ = self
            .context
            .store
            .edits_progress(&[progressed(edit, step)])
            .await
            .unwrap();
        self.tell(edit.edit).await;
    }

    pub(crate) async fn complete(&mut self, edit: &Claimed) {
        let mut artifacts = vec![self.put(edit, ArtifactKind::Result, &self.result).await];
        artifacts.push(match &self.roi {
            Some(roi) => self.put(edit, ArtifactKind::Roi, roi).await,
            None => {
                let kept = pictures::room();
                self.put(edit, ArtifactKind::Overlay, &kept).await
            }
        });
        if let Some(matte) = &self.matte {
            artifacts.push(self.put(edit, ArtifactKind::Matte, matte).await);
        }
        let report = serde_json::json!({"preset": edit.spec.preset, "mask": edit.mask.is_some()});
        self.end(edit, artifacts, Some(report), 1500).await;
    }

    /// Completes a segmentation.
    pub(crate) async fn segmented(&mut self, edit: &Claimed, side: u32, numbers: Vec<u16>) {
        let labels = limekiln_pictures::Labels::new(side, numbers).unwrap();
        let parts = serde_json::json!({
            "model": "m", "fingerprint": "f", "preset": "fast", "width": 64, "height": 48, "grid": side, "segments": [],
        });
        let artifacts = vec![
            self.put(edit, ArtifactKind::Labels, &labels.png().unwrap())
                .await,
            self.put(edit, ArtifactKind::Parts, parts.to_string().as_bytes())
                .await,
        ];
        self.end(edit, artifacts, None, 1).await;
    }

    async fn end(
        &mut self,
        edit: &Claimed,
        artifacts: Vec<NewArtifact>,
        report: Option<serde_json::Value>,
        gpu_ms: u64,
    ) {
        let completion = Completion {
            edit: edit.edit,
            epoch: edit.epoch,
            artifacts,
            report,
            gpu_ms,
        };
        let completed = self.context.store.edits_complete(&[completion]).await;
        let _ = completed.unwrap();
        self.tell(edit.edit).await;
    }

    pub(crate) async fn fail(&mut self, edit: &Claimed, failure: Failure) {
        let failed = Failed {
            edit: edit.edit,
            epoch: edit.epoch,
            failure,
            gpu_ms: 0,
        };
        let _ = self.context.store.edits_fail(&[failed]).await.unwrap();
        self.tell(edit.edit).await;
    }

    async fn put(&self, edit: &Claimed, kind: ArtifactKind, bytes: &[u8]) -> NewArtifact {
        let key = Key::edit(edit.tenant, edit.edit, edit.epoch, kind.file_name()).unwrap();
        let bytes = Bytes::copy_from_slice(bytes);
        let stored = self
            .context
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
        for event in self
            .context
            .store
            .events_after(edit, *told, 100)
            .await
            .unwrap()
        {
            *told = event.seq;
            self.context.broker.publish_live(&Live::Event(event));
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
        located: None,
    }
}

/// Does every edit in four steps. Instructions with "impossible" in them fail through the user's doing.
pub(crate) async fn start(gateway: &Gateway) -> Worker {
    let mut manual = ManualWorker::new(gateway).await;
    let mut wakes = gateway.context.broker.wakes().await;
    Worker(tokio::spawn(async move {
        loop {
            let claimed = manual.claim().await;
            for edit in &claimed {
                if edit.spec.instruction.contains("impossible") {
                    let failure =
                        Failure::new(FailureClass::User, "instruction_bad", "that can't be done");
                    manual.fail(edit, failure).await;
                    continue;
                }
                for step in 1..=4 {
                    manual.progress(edit, step).await;
                }
                manual.complete(edit).await;
            }
            if claimed.is_empty() {
                // Woken by submissions; looking now and then catches what a wake was lost for.
                let _ = tokio::time::timeout(TICK, wakes.next()).await;
            }
        }
    }))
}
