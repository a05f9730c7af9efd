//! What a worker works with: a database, a bucket and a broker of the test's own, a tenant with a picture, and the few
//! duties of a coordinator that an edit needs.

use std::time::Duration;

use bytes::Bytes;
use limekiln_blobs::{Blobs, Key};
use limekiln_broker::{Broker, Hint, Input};
use limekiln_jobs::{
    Digest, EditEvent, EditId, EditView, Epoch, EventKind, ImageId, ModelName, Spec, StateName,
    TenantId, WorkerId,
};
use limekiln_store::{Claimed, Limits, NewImage, Store, Submission, Submitted};
use limekiln_testbed::{Postgres, S3, until_some};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// For everything that comes sooner or later.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) blobs: Blobs,
    pub(crate) tenant: TenantId,
    pub(crate) image: ImageId,
    pub(crate) dir: TempDir,
    pub(crate) database: String,
}

impl House {
    /// On the shared services, with a picture of one pixel.
    pub(crate) async fn new() -> Self {
        let database = Postgres::shared().database().await;
        let store = Store::connect(&limekiln_store::Settings::new(&database))
            .await
            .unwrap();
        let s3 = S3::shared();
        let blobs = Blobs::connect(&s3.settings(&s3.bucket())).await.unwrap();
        Self::with(store, blobs, database, picture(1)).await
    }

    /// On these, with this picture.
    pub(crate) async fn with(
        store: Store,
        blobs: Blobs,
        database: String,
        picture: Vec<u8>,
    ) -> Self {
        store.migrate().await.unwrap();
        blobs.bucket_ensure().await.unwrap();
        let tenant = store
            .tenant_create("tenant", &Limits::UNLIMITED)
            .await
            .unwrap()
            .id;
        let image = image(&store, &blobs, tenant, picture).await;
        Self {
            store,
            broker: Broker::local(),
            blobs,
            tenant,
            image,
            dir: TempDir::new().unwrap(),
            database,
        }
    }

    pub(crate) fn model() -> ModelName {
        "rooms".parse().unwrap()
    }

    /// Another picture of the tenant's.
    pub(crate) async fn image(&self, picture: Vec<u8>) -> ImageId {
        image(&self.store, &self.blobs, self.tenant, picture).await
    }

    /// An edit that is not submitted yet.
    pub(crate) fn edit(&self, instruction: &str) -> Submission {
        let spec = Spec {
            seed: 7,
            ..Spec::new(instruction)
        };
        Submission::new(self.tenant, self.image, Self::model(), spec)
    }

    /// Submits edits and announces them.
    pub(crate) async fn submit(&self, edits: Vec<Submission>) -> Vec<EditId> {
        for batch in edits.chunks(256) {
            for submitted in self.store.edits_submit(batch).await.unwrap() {
                assert!(
                    matches!(submitted, Submitted::Created { .. }),
                    "{submitted:?}"
                );
            }
        }
        announce(&self.store, &self.broker).await;
        edits.iter().map(|edit| edit.id).collect()
    }

    /// Submits one edit of these words.
    pub(crate) async fn submit_one(&self, instruction: &str) -> EditId {
        self.submit(vec![self.edit(instruction)]).await[0]
    }

    /// Releases, reaps and retries until it is dropped.
    pub(crate) fn coordinator(&self) -> Coordinator {
        let (store, broker) = (self.store.clone(), self.broker.clone());
        Coordinator(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                // What fails is an outage that the test made, and the next tick's.
                let _ = store.edits_reap(256).await;
                let _ = store.edits_retry_due(256).await;
                announce(&store, &broker).await;
            }
        }))
    }

    pub(crate) async fn view(&self, edit: EditId) -> EditView {
        self.store
            .edit_get(self.tenant, edit)
            .await
            .unwrap()
            .unwrap()
    }

    /// Waits until the edit has come to this state.
    pub(crate) async fn reaches(&self, edit: EditId, state: StateName) -> EditView {
        until_some(&format!("{edit} {state}"), PATIENCE, async || {
            let view = self.view(edit).await;
            (view.state == state).then_some(view)
        })
        .await
    }

    /// The whole history; its numbers have no gap.
    pub(crate) async fn events(&self, edit: EditId) -> Vec<EditEvent> {
        let events = self.store.events_after(edit, 0, 1000).await.unwrap();
        let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        events
    }

    /// How often an event of this kind is in the history.
    pub(crate) async fn count(&self, edit: EditId, kind: EventKind) -> usize {
        let events = self.events(edit).await;
        events.iter().filter(|event| event.kind == kind).count()
    }

    /// The lease is taken from whoever has it, as if it had run out.
    pub(crate) async fn lease_expire(&self, edit: EditId) {
        let name = self
            .database
            .rsplit('/')
            .next()
            .unwrap()
            .split('?')
            .next()
            .unwrap();
        until_some("the lease's end", PATIENCE, async || {
            let expire = format!(
                "update edits set lease_expires_at = now() - interval '1 s' where id = '{edit}' and state = 'running'"
            );
            Postgres::shared().execute(name, &expire).await;
            let reaped = self.store.edits_reap(256).await.unwrap();
            reaped.iter().any(|moved| moved.edit == edit).then_some(())
        })
        .await;
    }

    /// Claims for a worker that is not there.
    pub(crate) async fn claim(&self, edit: EditId) -> Claimed {
        let ttl = Duration::from_secs(60);
        let claimed = self
            .store
            .edits_claim(WorkerId::new(), &[edit], ttl)
            .await
            .unwrap();
        claimed.into_iter().next().unwrap().unwrap()
    }

    pub(crate) async fn blob(&self, key: &str) -> Bytes {
        let key: Key = key.parse().unwrap();
        self.blobs.get(&key, None, 1 << 30).await.unwrap()
    }

    pub(crate) fn result_key(&self, edit: EditId, epoch: Epoch) -> Key {
        Key::edit(self.tenant, edit, epoch, "result.png").unwrap()
    }
}

/// Stopped when dropped.
pub(crate) struct Coordinator(JoinHandle<()>);

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn announce(store: &Store, broker: &Broker) {
    while let Ok(released) = store.edits_release(None, 64, 512).await {
        if released.is_empty() {
            return;
        }
        let hints: Vec<Hint> = released
            .into_iter()
            .map(|announcement| Hint {
                edit: announcement.edit,
                tenant: announcement.tenant,
                model: announcement.model,
                class: announcement.class,
                input: Some(Input {
                    key: announcement.input.key,
                    digest: announcement.input.digest,
                    bytes: announcement.input.bytes,
                }),
                announcement: announcement.announcement,
                trace: announcement.trace,
            })
            .collect();
        for announced in broker.announce(&hints).await {
            announced.unwrap();
        }
    }
}

async fn image(store: &Store, blobs: &Blobs, tenant: TenantId, picture: Vec<u8>) -> ImageId {
    let digest = Digest::of(&picture);
    let key = Key::image(tenant, &digest);
    let stored = blobs
        .put(&key, Bytes::from(picture), "image/png")
        .await
        .unwrap();
    let new = NewImage {
        key: key.to_string(),
        digest,
        media_type: "image/png".to_owned(),
        bytes: stored.bytes,
        width: 1,
        height: 1,
    };
    store.image_create(tenant, &new).await.unwrap().id
}

/// A PNG of one color.
pub(crate) fn picture(color: u8) -> Vec<u8> {
    let pixels = image::RgbImage::from_pixel(1, 1, image::Rgb([color; 3]));
    limekiln_pictures::encode::png(&pixels.into()).unwrap()
}
