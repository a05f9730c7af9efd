//! What the tests are made of.

use std::time::Duration;

use limekiln_jobs::{
    Class, Digest, EditId, Epoch, EventKind, ImageId, ModelName, Needs, Spec, StateName, TenantId,
    WorkerId,
};
use limekiln_testbed::Postgres;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::*;

pub(super) const TTL: Duration = Duration::from_secs(15);

/// A store on a fresh database of the shared Postgres.
pub(super) async fn postgres() -> Store {
    let url = Postgres::shared().database().await;
    let settings = Settings {
        connections: 6,
        acquire_timeout: Duration::from_secs(30),
        ..Settings::new(url)
    };
    let store = Store::connect(&settings).await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// A tenant with an image, and a model that is nobody else's.
#[derive(Clone)]
pub(super) struct TestContext {
    pub(super) store: Store,
    pub(super) tenant: TenantId,
    pub(super) image: ImageId,
    pub(super) model: ModelName,
    pub(super) worker: WorkerId,
}

impl TestContext {
    pub(super) async fn new(store: &Store) -> Self {
        Self::with(store, &Limits::UNLIMITED).await
    }

    pub(super) async fn with(store: &Store, limits: &Limits) -> Self {
        let name = TenantId::new().to_string();
        let tenant = store.tenant_create(&name, limits).await.unwrap().id;
        let image = store
            .image_create(tenant, &picture(tenant, b"picture"))
            .await
            .unwrap()
            .id;
        let model = format!("m{}", name.replace('-', "")).parse().unwrap();
        let mut context = Self {
            store: store.clone(),
            tenant,
            image,
            model,
            worker: WorkerId::new(),
        };
        // It can do every edit, and no model's window counts it.
        let able = Self {
            model: "none".parse().unwrap(),
            ..context.clone()
        };
        context.worker = able.able_worker(1, Needs::from_iter(Spec::LATER)).await;
        context
    }

    /// Another tenant of the same model.
    pub(super) async fn with_other_tenant(&self) -> Self {
        Self {
            model: self.model.clone(),
            ..Self::new(&self.store).await
        }
    }

    pub(super) fn submission(&self) -> Submission {
        Submission::new(self.tenant, self.image, self.model.clone(), spec())
    }

    pub(super) fn turn(&self, parent: EditId) -> Submission {
        self.submission().with_parent(parent)
    }

    pub(super) async fn submit(&self, submission: Submission) -> EditId {
        let id = submission.id;
        let submitted = self.store.edits_submit(&[submission]).await.unwrap();
        assert!(
            matches!(submitted[..], [Submitted::Created { .. }]),
            "{submitted:?}"
        );
        id
    }

    /// A queued edit.
    pub(super) async fn edit(&self) -> EditId {
        self.submit(self.submission()).await
    }

    pub(super) async fn claim(&self, edit: EditId) -> Claimed {
        self.store
            .edits_claim(self.worker, &[edit], TTL)
            .await
            .unwrap()
            .pop()
            .flatten()
            .expect("claimed")
    }

    /// A running edit.
    pub(super) async fn running(&self) -> (EditId, Epoch) {
        let edit = self.edit().await;
        (edit, self.claim(edit).await.epoch)
    }

    pub(super) async fn complete(&self, edit: EditId, epoch: Epoch) -> Write {
        let completion = Completion {
            edit,
            epoch,
            artifacts: vec![result(edit, epoch)],
            report: None,
            gpu_ms: 40,
        };
        self.store.edits_complete(&[completion]).await.unwrap()[0]
    }

    /// A succeeded edit.
    pub(super) async fn done(&self) -> EditId {
        let (edit, epoch) = self.running().await;
        assert!(self.complete(edit, epoch).await.is_applied());
        edit
    }

    pub(super) async fn fail(
        &self,
        edit: EditId,
        epoch: Epoch,
        class: limekiln_jobs::FailureClass,
    ) -> Write {
        let failure = limekiln_jobs::Failure::new(class, "broken", "it broke");
        self.store
            .edits_fail(&[Failed {
                edit,
                epoch,
                failure,
                gpu_ms: 0,
            }])
            .await
            .unwrap()[0]
    }

    pub(super) async fn state(&self, edit: EditId) -> StateName {
        self.store
            .edit_get(self.tenant, edit)
            .await
            .unwrap()
            .unwrap()
            .state
    }

    pub(super) async fn in_flight(&self) -> u32 {
        self.store
            .tenant_get(self.tenant)
            .await
            .unwrap()
            .unwrap()
            .in_flight
    }

    /// The kinds of an edit's events; their numbers have no gaps.
    pub(super) async fn kinds(&self, edit: EditId) -> Vec<EventKind> {
        let events = self.store.events_after(edit, 0, 1000).await.unwrap();
        for (at, event) in events.iter().enumerate() {
            assert_eq!(event.seq, at as u64 + 1, "{events:?}");
        }
        assert!(
            events.windows(2).all(|pair| pair[0].at <= pair[1].at),
            "{events:?}"
        );
        events.into_iter().map(|event| event.kind).collect()
    }

    /// A worker with so many slots for this model.
    pub(super) async fn worker(&self, slots: u32) -> WorkerId {
        self.able_worker(slots, Needs::from_iter([Needs::LAYERS]))
            .await
    }

    /// The same that can do these needs.
    pub(super) async fn able_worker(&self, slots: u32, can: Needs) -> WorkerId {
        let id = WorkerId::new();
        let worker = NewWorker {
            id,
            name: "gpu-1".to_owned(),
            models: vec![self.model.clone()],
            slots,
            version: "0.1.0".to_owned(),
            limits: Default::default(),
            device: "cpu".to_owned(),
            can,
        };
        self.store.worker_register(&worker, TTL).await.unwrap();
        id
    }

    /// A bulk edit, submitted.
    pub(super) async fn bulk(&self) -> EditId {
        let class = Class::Bulk;
        self.submit(Submission {
            class,
            ..self.submission()
        })
        .await
    }

    /// All messages are lost, and what is overdue is announced again.
    pub(super) async fn announce_again(&self, limit: u32) -> Vec<Announcement> {
        let mut again = Vec::new();
        for overdue in self.store.edits_overdue().await.unwrap() {
            let missing = overdue.unclaimed;
            again.extend(
                self.store
                    .edits_announce_again(&overdue, missing, limit)
                    .await
                    .unwrap(),
            );
        }
        again
    }

    pub(super) async fn release(&self, min_window: u32, limit: u32) -> Vec<EditId> {
        let released = self
            .store
            .edits_release(Some(&self.model), min_window, limit)
            .await
            .unwrap();
        released
            .into_iter()
            .map(|announcement| announcement.edit)
            .collect()
    }
}

pub(super) fn spec() -> Spec {
    Spec {
        seed: 7,
        ..Spec::new("make the sofa red")
    }
}

pub(super) fn picture(tenant: TenantId, content: &[u8]) -> NewImage {
    let digest = Digest::of(content);
    NewImage {
        key: format!("t/{tenant}/images/{digest}"),
        digest,
        media_type: "image/png".to_owned(),
        bytes: content.len() as u64,
        width: 64,
        height: 48,
    }
}

pub(super) fn result(edit: EditId, epoch: Epoch) -> NewArtifact {
    NewArtifact {
        kind: limekiln_jobs::ArtifactKind::Result,
        key: format!("t/x/edits/{edit}/{epoch}/result.png"),
        digest: Digest::of(edit.uuid().as_bytes()),
        bytes: 1000,
        media_type: "image/png".to_owned(),
        width: Some(64),
        height: Some(48),
    }
}

pub(super) fn checkpoint(edit: EditId, epoch: Epoch, step: u32) -> Checkpointed {
    let key = format!("t/x/edits/{edit}/{epoch}/checkpoint-{step}");
    let checkpoint = Checkpoint {
        digest: Digest::of(key.as_bytes()),
        key,
        step,
        bytes: 100,
    };
    Checkpointed {
        edit,
        epoch,
        checkpoint,
    }
}

/// Moves a time of an edit into the past.
pub(super) async fn age(store: &Store, edit: EditId, sql: &'static str) {
    let aged = store
        .count("test", sqlx::query(sql).bind(edit.uuid()))
        .await
        .unwrap();
    assert_eq!(aged, 1, "{sql}");
}

pub(super) async fn lease_expire(store: &Store, edit: EditId) {
    let sql = "update edits set lease_expires_at = now() - interval '1 s' where id = $1 and state = 'running'";
    age(store, edit, sql).await;
}

pub(super) async fn retry_due(store: &Store, edit: EditId) {
    age(
        store,
        edit,
        "update edits set retry_at = now() where id = $1 and state = 'waiting'",
    )
    .await;
}

pub(super) async fn row(store: &Store, edit: EditId) -> PgRow {
    let statement = sqlx::query("select * from edits where id = $1").bind(edit.uuid());
    store.row("test", statement).await.unwrap().unwrap()
}

pub(super) async fn number(store: &Store, sql: &'static str) -> i64 {
    store.rows("test", sqlx::query(sql)).await.unwrap()[0].get(0)
}
