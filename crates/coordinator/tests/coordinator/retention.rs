//! What goes and what stays.

use std::path::Path;
use std::time::{Duration, SystemTime};

use limekiln_blobs::{Blobs, Fsync, Key};
use limekiln_coordinator::{Retention, Settings};
use limekiln_fixture::{NEVER, PATIENCE, TestContext, png};
use limekiln_jobs::{Digest, EditId, Epoch, SessionId, StateName, TenantId};
use limekiln_store::{Checkpoint, Checkpointed, Claimed, Submission};
use limekiln_testbed::until;
use tempfile::TempDir;

use crate::running::{Coordinator, settings};

/// A bucket whose files the test can make old.
struct Bucket {
    blobs: Blobs,
    dir: TempDir,
}

impl Bucket {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let blobs = Blobs::folder(dir.path(), "sweeping", Fsync::Never)
            .await
            .unwrap();
        blobs.bucket_ensure().await.unwrap();
        Self { blobs, dir }
    }

    async fn put(&self, key: &Key) {
        self.blobs
            .put(key, key.to_string().into_bytes().into(), "image/png")
            .await
            .unwrap();
    }

    /// Makes every blob two days old.
    fn age(&self) {
        let then = SystemTime::now() - Duration::from_secs(2 * 86_400);
        let aged = files_age(self.dir.path(), then);
        assert!(aged > 0, "no file to make old");
    }
}

fn files_age(dir: &Path, then: SystemTime) -> usize {
    let mut aged = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            aged += files_age(&path, then);
        } else {
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(then)
                .unwrap();
            aged += 1;
        }
    }
    aged
}

async fn checkpoint(context: &TestContext, claimed: &Claimed) -> Key {
    let key = Key::checkpoint(claimed.tenant, claimed.edit, claimed.epoch, 5);
    let stored = context
        .blobs
        .put(&key, "state".into(), "application/octet-stream")
        .await
        .unwrap();
    let checkpoint = Checkpoint {
        key: key.to_string(),
        step: 5,
        digest: stored.digest,
        bytes: stored.bytes,
    };
    let checkpointed = Checkpointed {
        edit: claimed.edit,
        epoch: claimed.epoch,
        checkpoint,
    };
    assert!(
        context
            .store
            .edits_checkpoint(&[checkpointed])
            .await
            .unwrap()[0]
            .0
            .is_applied()
    );
    key
}

fn stray(tenant: TenantId, n: u32) -> Key {
    Key::edit(
        tenant,
        EditId::new(),
        Epoch::new(1),
        &format!("result-{n}.png"),
    )
    .unwrap()
}

#[tokio::test]
async fn the_sweep_takes_old_orphans_and_nothing_that_a_row_refers_to_or_that_is_young() {
    let bucket = Bucket::new().await;
    let mut context = TestContext::with_rabbitmq().await;
    context.blobs = bucket.blobs.clone();
    let tenant = context.tenant;
    let image = context.image_create(tenant, png(1)).await;
    let image_key: Key = context
        .store
        .image_get(tenant, image)
        .await
        .unwrap()
        .unwrap()
        .key
        .parse()
        .unwrap();
    let done = context.submit(context.submission()).await;
    let claimed = context.claim(done).await;
    let result = context.complete(&claimed).await;
    let running = context.submit(context.submission()).await;
    let claimed = context.claim(running).await;
    let saved = checkpoint(&context, &claimed).await;
    // More than a page of them.
    let strays: Vec<Key> = (0..520).map(|n| stray(tenant, n)).collect();
    for key in &strays {
        bucket.put(key).await;
    }
    let image_stray = Key::image(tenant, &Digest::of(b"nobody's"));
    bucket.put(&image_stray).await;
    bucket.age();
    let (young, young_image) = (
        stray(tenant, 1000),
        Key::image(tenant, &Digest::of(b"just coming in")),
    );
    bucket.put(&young).await;
    bucket.put(&young_image).await;

    let coordinator = Coordinator::start(&context, settings());
    let last = strays.iter().max().unwrap();
    until("the last stray gone", PATIENCE, async || {
        !context.blobs.exists(last).await.unwrap()
    })
    .await;
    until("the stray image gone", PATIENCE, async || {
        !context.blobs.exists(&image_stray).await.unwrap()
    })
    .await;
    coordinator.stop().await;
    for key in &strays {
        assert!(!context.blobs.exists(key).await.unwrap(), "{key}");
    }
    for key in [&image_key, &result, &saved, &young, &young_image] {
        assert!(context.blobs.exists(key).await.unwrap(), "{key}");
    }
}

#[tokio::test]
async fn pruning_leaves_what_a_live_session_or_a_live_edit_needs() {
    let context = TestContext::with_rabbitmq().await;
    let tenant = context.tenant;
    let (kept, unused) = (context.image, context.image_create(tenant, png(2)).await);
    let other = context.image_create(tenant, png(3)).await;
    let session = context
        .store
        .session_create(tenant, SessionId::new())
        .await
        .unwrap()
        .id;
    // A live session with a turn that ended long ago, and an edit of no session, as old.
    let in_session = context
        .submit(Submission {
            session: Some(session),
            ..context.submission_of(tenant, kept)
        })
        .await;
    let claimed = context.claim(in_session).await;
    let old_checkpoint = checkpoint(&context, &claimed).await;
    let result = context.complete(&claimed).await;
    let alone = context.submit(context.submission_of(tenant, other)).await;
    context.complete(&context.claim(alone).await).await;
    context.sql("update edits set created_at = now() - interval '60 days', finished_at = now() - interval '60 days'").await;
    context.sql("update images set created_at = now() - interval '60 days', used_at = now() - interval '60 days'").await;
    // The session goes on now, and a worker is at it.
    let next = context.submit(context.turn(in_session)).await;
    let claimed = context.claim(next).await;
    let live_checkpoint = checkpoint(&context, &claimed).await;

    let day = Duration::from_secs(86_400);
    let retention = Retention {
        prune_every: Duration::from_millis(100),
        edits: Some(30 * day),
        images: Some(30 * day),
        sweep_every: NEVER,
        ..Retention::default()
    };
    let coordinator = Coordinator::start(
        &context,
        Settings {
            retention,
            ..settings()
        },
    );
    until("the old edit gone", PATIENCE, async || {
        context
            .store
            .edit_get(tenant, alone)
            .await
            .unwrap()
            .is_none()
    })
    .await;
    until("its image gone", PATIENCE, async || {
        context
            .store
            .image_get(tenant, other)
            .await
            .unwrap()
            .is_none()
    })
    .await;
    until("the unused image gone", PATIENCE, async || {
        context
            .store
            .image_get(tenant, unused)
            .await
            .unwrap()
            .is_none()
    })
    .await;
    until("the old checkpoint gone", PATIENCE, async || {
        // It is listed, and due in half a minute.
        context
            .sql("update blob_deletions set due_at = now()")
            .await;
        !context.blobs.exists(&old_checkpoint).await.unwrap()
    })
    .await;
    coordinator.stop().await;
    assert_eq!(context.view(in_session).await.state, StateName::Succeeded);
    assert!(
        context
            .store
            .image_get(tenant, kept)
            .await
            .unwrap()
            .is_some()
    );
    assert!(context.blobs.exists(&result).await.unwrap());
    assert!(context.blobs.exists(&live_checkpoint).await.unwrap());
    context.complete(&claimed).await;
    assert_eq!(context.view(next).await.state, StateName::Succeeded);
}
