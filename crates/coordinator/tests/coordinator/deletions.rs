//! What was deleted is gone from S3, and nothing else.

use std::time::Duration;

use limekiln_blobs::{Blobs, Key, Prefix};
use limekiln_coordinator::{Retention, Settings};
use limekiln_fixture::{NEVER, PATIENCE, TestContext, png};
use limekiln_jobs::api::Role;
use limekiln_jobs::{Digest, SessionId, StateName, TenantId};
use limekiln_store::{Deleted, Submission};
use limekiln_testbed::{Proxy, S3, until};

use crate::running::{Coordinator, settings};

/// Deletions are looked at all the time, and nothing else is removed.
fn deleting() -> Settings {
    let retention = Retention {
        delete_every: Duration::from_millis(20),
        prune_every: NEVER,
        sweep_every: NEVER,
        ..Retention::default()
    };
    Settings {
        retention,
        ..settings()
    }
}

/// What is listed is due, as after half a minute.
async fn due(context: &TestContext) {
    context
        .sql("update blob_deletions set due_at = now() where due_at < 'infinity'")
        .await;
}

async fn pending(context: &TestContext) -> i64 {
    let pending = "select count(*) from blob_deletions where deleted_at is null";
    context.number(pending).await
}

async fn blobs_of(context: &TestContext, tenant: TenantId) -> Vec<Key> {
    let of = Prefix::tenant(tenant);
    let page = context.blobs.list(&of, None, 1000).await.unwrap();
    page.blobs.into_iter().map(|blob| blob.key).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_blobs_go_through_outages_and_others_stay() {
    let (s3, plain) = (S3::shared(), TestContext::with_rabbitmq().await);
    let bucket = s3.bucket();
    let proxy = Proxy::start(s3.port());
    let mut behind = s3.settings(&bucket);
    behind.endpoint = Some(proxy.before(s3.endpoint().as_str()).parse().unwrap());
    behind.timeouts.operation = Duration::from_secs(2);
    let context = TestContext {
        blobs: Blobs::connect(&s3.settings(&bucket)).await.unwrap(),
        ..plain
    };
    context.blobs.bucket_ensure().await.unwrap();
    let tenant = context.tenant;
    let unused = context.image_create(tenant, png(2)).await;
    let shared = context.image_create(tenant, png(3)).await;
    let (edit, kept) = (context.edit().await, context.edit().await);
    let claimed = context.claim(edit).await;
    let stray = Key::edit(tenant, edit, claimed.epoch, "roi.png").unwrap();
    context
        .blobs
        .put(&stray, "half".into(), "image/png")
        .await
        .unwrap();
    let result = context.complete(&claimed).await;
    let kept_result = context.complete(&context.claim(kept).await).await;
    let key = async |id| {
        let image = context.store.image_get(tenant, id).await.unwrap().unwrap();
        image.key.parse::<Key>().unwrap()
    };
    let (unused_key, shared_key) = (key(unused).await, key(shared).await);

    let store = &context.store;
    let gone = store.edit_delete(tenant, edit, false).await.unwrap();
    assert_eq!(gone, Deleted::Gone);
    for image in [unused, shared] {
        let gone = store.image_delete(tenant, image, false).await.unwrap();
        assert_eq!(gone, Deleted::Gone);
    }
    // An upload that began before the deletion refers to the blob after all.
    context
        .sql(&format!(
            "insert into images (id, tenant_id, digest, blob_key, media_type, bytes, width, height)
            values ('{shared}', '{tenant}', decode('{}', 'hex'), '{shared_key}', 'image/png', 1, 1, 1)",
            Digest::of(&png(3))
        ))
        .await;

    // S3 is away, and the coordinator dies over it.
    let away = TestContext {
        blobs: Blobs::connect(&behind).await.unwrap(),
        ..context.clone()
    };
    proxy.refuse();
    let coordinator = Coordinator::start(&away, deleting());
    due(&context).await;
    until("a try that failed", PATIENCE, async || {
        context
            .number("select count(*) from blob_deletions where tries > 0")
            .await
            > 0
    })
    .await;
    drop(coordinator);
    assert!(pending(&context).await > 0);
    assert!(context.blobs.exists(&result).await.unwrap());

    let coordinator = Coordinator::start(&context, deleting());
    due(&context).await;
    until("everything listed deleted", PATIENCE, async || {
        due(&context).await;
        pending(&context).await == 0
    })
    .await;
    for key in [&result, &stray, &unused_key] {
        assert!(!context.blobs.exists(key).await.unwrap(), "{key}");
    }
    for key in [&kept_result, &shared_key] {
        assert!(context.blobs.exists(key).await.unwrap(), "{key}");
    }

    // A worker that lost its lease puts its result now; the second look finds it. An image's key may be in use again by then.
    for key in [&stray, &unused_key] {
        let late = context.blobs.put(key, "late".into(), "image/png").await;
        late.unwrap();
    }
    context
        .sql("update blob_deletions set until = now(), due_at = now()")
        .await;
    until("the list empty", PATIENCE, async || {
        context.number("select count(*) from blob_deletions").await == 0
    })
    .await;
    coordinator.stop().await;
    assert!(!context.blobs.exists(&stray).await.unwrap());
    assert!(context.blobs.exists(&unused_key).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_erased_whoever_dies_and_the_others_are_not() {
    let context = TestContext::with_rabbitmq().await;
    context.worker_register(1).await;
    let (store, doomed) = (&context.store, context.tenant_create().await);
    let image = context.image_create(doomed, png(1)).await;
    let key = store.key_create(doomed, Role::Tenant, "").await.unwrap();
    let session = SessionId::new();
    store.session_create(doomed, session).await.unwrap();
    let submission = || Submission {
        session: Some(session),
        webhook_url: Some("http://127.0.0.1:9/hook".to_owned()),
        ..context.submission_of(doomed, image)
    };
    let mut edits = Vec::new();
    for _ in 0..6 {
        edits.push(context.submit(submission()).await);
    }
    let done = context.claim(edits[0]).await;
    context.complete(&done).await;
    let turn = submission().with_parent(edits[0]);
    let turn = context.submit(turn).await;
    context.claim(edits[1]).await;
    let others = context.edit().await;
    context.complete(&context.claim(others).await).await;
    let theirs = blobs_of(&context, context.tenant).await;
    assert_eq!(blobs_of(&context, doomed).await.len(), 2);

    assert!(store.tenant_erase(doomed).await.unwrap());
    // It dies over every step.
    let gone = async || store.tenant_get(doomed).await.unwrap().is_none();
    let mut lives = 0;
    while !gone().await {
        lives += 1;
        assert!(lives < 500);
        let coordinator = Coordinator::start(&context, deleting());
        tokio::time::timeout(
            Duration::from_millis(5 * lives),
            until("the end of it", PATIENCE, gone),
        )
        .await
        .ok();
        drop(coordinator);
    }
    assert!(store.key_find(key.secret.expose()).await.unwrap().is_none());
    for edit in edits.iter().chain([&turn]) {
        assert!(store.events_after(*edit, 0, 1).await.unwrap().is_empty());
    }
    let hooks = format!("select count(*) from webhooks where tenant_id = '{doomed}'");
    assert_eq!(context.number(&hooks).await, 0);
    let used = "select sum(edits)::bigint from usage_erased";
    assert_eq!(context.number(used).await, 7);

    let coordinator = Coordinator::start(&context, deleting());
    until("its blobs gone", PATIENCE, async || {
        blobs_of(&context, doomed).await.is_empty()
    })
    .await;
    coordinator.stop().await;
    assert_eq!(blobs_of(&context, context.tenant).await, theirs);
    assert_eq!(context.view(others).await.state, StateName::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_of_an_erased_tenant_is_told_to_stop() {
    let context = TestContext::with_rabbitmq().await;
    let edit = context.edit().await;
    let claimed = context.claim(edit).await;
    let mut stops = context.broker.stops().await;
    assert!(context.store.tenant_erase(context.tenant).await.unwrap());
    let coordinator = Coordinator::start(&context, deleting());
    let stop = tokio::time::timeout(PATIENCE, stops.next()).await;
    let stop = stop.unwrap().unwrap();
    assert_eq!((stop.run().edit, stop.run().epoch), (edit, claimed.epoch));
    coordinator.stop().await;
}
