//! What the sweep deletes, and when it deletes nothing.

use std::time::Duration;

use limekiln_blobs::{Blobs, Key};
use limekiln_coordinator::{Error, Retention, Settings, adopt, claim, restore_accept};
use limekiln_fixture::{PATIENCE, TestContext, png};
use limekiln_jobs::{Digest, EditId, Epoch, TenantId};
use limekiln_testbed::{until, until_some};

use crate::retention::checkpoint;
use crate::running::{Coordinator, settings};

/// Walks all the time, and looks at what there is to prune.
fn sweeping(orphans_most: f64) -> Settings {
    Settings {
        retention: Retention {
            prune_every: Duration::from_millis(20),
            sweep_every: Duration::from_millis(20),
            orphans_most,
            ..settings().retention
        },
        ..settings()
    }
}

fn stray(tenant: TenantId, name: &str) -> Key {
    Key::edit(tenant, EditId::new(), Epoch::new(1), name).unwrap()
}

async fn put(blobs: &Blobs, key: &Key) {
    let text = key.to_string().into_bytes();
    blobs.put(key, text.into(), "image/png").await.unwrap();
}

/// So many pictures of the context's tenant.
async fn pictures(context: &TestContext, count: u8) -> Vec<Key> {
    let mut keys = Vec::new();
    for gray in 10..10 + count {
        let image = context.image_create(context.tenant, png(gray)).await;
        let image = context.store.image_get(context.tenant, image).await;
        keys.push(image.unwrap().unwrap().key.parse().unwrap());
    }
    keys
}

async fn left(blobs: &Blobs, keys: &[Key]) -> usize {
    let mut left = 0;
    for key in keys {
        left += usize::from(blobs.exists(key).await.unwrap());
    }
    left
}

/// For the database two days pass, again and again, while so many walks are begun.
async fn walks(context: &TestContext, count: u32) {
    for _ in 0..count {
        days_pass(context).await;
        let before = walk_began(context).await;
        until("a walk", PATIENCE, async || {
            walk_began(context).await > before
        })
        .await;
    }
}

async fn days_pass(context: &TestContext) {
    context
        .sql("update sweep_candidates set first_seen_at = first_seen_at - interval '2 days'")
        .await;
}

/// The same, also for a walk under way: what it has seen is not seen by the next, and it counts before it deletes.
async fn days_pass_at_once(context: &TestContext) {
    context
        .sql(
            "update sweep_candidates set
                first_seen_at = first_seen_at - interval '2 days', seen_at = seen_at - interval '2 days'",
        )
        .await;
}

async fn walk_began(context: &TestContext) -> i64 {
    let micros = "select coalesce(extract(epoch from walk_began_at) * 1e6, 0)::bigint from fleet";
    context.number(micros).await
}

/// So many rounds of pruning by the context's coordinator: each looks at the marker, as each of the sweep's does.
async fn rounds(context: &TestContext, count: u32) {
    for _ in 0..count {
        context
            .sql(
                "insert into workers (id, name, models, slots, version, device, ttl, seen_at)
                values (gen_random_uuid(), 'gone', '{rooms}', 1, '0', 'cpu', interval '1 s', now() - interval '9 days')",
            )
            .await;
        until("a dead worker forgotten", PATIENCE, async || {
            context.number("select count(*) from workers").await == 0
        })
        .await;
    }
}

/// Another database, and the same bucket.
async fn other_fleet(context: &TestContext) -> TestContext {
    let mut other = TestContext::with_rabbitmq().await;
    // The tests' databases are copies of one, and would be of one fleet.
    other.sql("update fleet set id = gen_random_uuid()").await;
    other.blobs = context.blobs.clone();
    other
}

#[tokio::test]
async fn another_fleet_on_the_same_bucket_deletes_nothing() {
    let first = TestContext::with_rabbitmq().await;
    let pictures = pictures(&first, 46).await;
    adopt(&first.store, &first.blobs, 0.0).await.unwrap();
    let second = other_fleet(&first).await;

    let refused = claim(&second.store, &second.blobs).await.unwrap_err();
    assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
    let refused = adopt(&second.store, &second.blobs, 1.0).await.unwrap_err();
    assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
    let refused = restore_accept(&second.store, &second.blobs).await;
    assert!(matches!(refused, Err(Error::Foreign { .. })));
    // And when it runs all the same.
    let coordinator = Coordinator::start(&second, sweeping(1.0));
    rounds(&second, 5).await;
    assert_eq!(walk_began(&second).await, 0, "it walks");
    coordinator.stop().await;
    assert_eq!(left(&first.blobs, &pictures).await, 46);

    // Under a prefix of its own it sweeps, and not the other's.
    let mut second = second;
    second.blobs = first.blobs.prefixed("second").unwrap();
    claim(&second.store, &second.blobs).await.unwrap();
    let stray = stray(second.tenant, "result.png");
    put(&second.blobs, &stray).await;
    let coordinators = [
        Coordinator::start(&second, sweeping(1.0)),
        Coordinator::start(&first, sweeping(0.0)),
    ];
    until("its orphan gone", PATIENCE, async || {
        days_pass(&second).await;
        !second.blobs.exists(&stray).await.unwrap()
    })
    .await;
    walks(&first, 2).await;
    for coordinator in coordinators {
        coordinator.stop().await;
    }
    assert_eq!(left(&first.blobs, &pictures).await, 46);
}

#[tokio::test]
async fn a_restored_database_deletes_nothing_until_an_operator_says_so() {
    let context = TestContext::with_rabbitmq().await;
    adopt(&context.store, &context.blobs, 0.0).await.unwrap();
    let coordinator = Coordinator::start(&context, settings());
    let backup = context.store.mark().await.unwrap();
    until("a mark after the backup", PATIENCE, async || {
        context.store.mark().await.unwrap().marked_at > backup.marked_at
    })
    .await;
    let lost = pictures(&context, 10).await;
    coordinator.stop().await;
    // As it was at the backup; and new edits have come in since it was restored.
    let at = backup.marked_at.unwrap();
    context
        .sql(&format!(
            "update fleet set marked_at = '{at}'; delete from images where id <> '{}'",
            context.image
        ))
        .await;
    context.edit().await;

    let coordinator = Coordinator::start(&context, sweeping(1.0));
    rounds(&context, 5).await;
    days_pass(&context).await;
    rounds(&context, 2).await;
    assert_eq!(left(&context.blobs, &lost).await, 10);
    assert_eq!(walk_began(&context).await, 0, "it walks");
    claim(&context.store, &context.blobs).await.unwrap();

    assert!(
        restore_accept(&context.store, &context.blobs)
            .await
            .unwrap()
    );
    assert!(
        !restore_accept(&context.store, &context.blobs)
            .await
            .unwrap()
    );
    until("what it does not know gone", PATIENCE, async || {
        days_pass(&context).await;
        left(&context.blobs, &lost).await == 0
    })
    .await;
    coordinator.stop().await;
}

#[tokio::test]
async fn the_sweep_takes_orphans_of_two_walks_and_nothing_that_a_row_refers_to() {
    let context = TestContext::with_rabbitmq().await;
    let tenant = context.tenant;
    adopt(&context.store, &context.blobs, 0.0).await.unwrap();
    let image = context.store.image_get(tenant, context.image).await;
    let image: Key = image.unwrap().unwrap().key.parse().unwrap();
    let done = context.submit(context.submission()).await;
    let claimed = context.claim(done).await;
    let result = context.complete(&claimed).await;
    let running = context.submit(context.submission()).await;
    let claimed = context.claim(running).await;
    let saved = checkpoint(&context, &claimed).await;
    // More than a page of them.
    let mut strays = vec![Key::image(tenant, &Digest::of(b"nobody's"))];
    strays.extend((0..520).map(|n| stray(tenant, &format!("result-{n}.png"))));
    for key in &strays {
        put(&context.blobs, key).await;
    }

    // A coordinator that has just started deletes nothing, nor does one within the grace.
    let coordinator = Coordinator::start(&context, sweeping(1.0));
    let began = until_some("a walk", PATIENCE, async || {
        let began = walk_began(&context).await;
        (began > 0).then_some(began)
    })
    .await;
    until("two more walks", PATIENCE, async || {
        let last = walk_began(&context).await;
        last > began
            && context
                .number("select count(*) from sweep_candidates")
                .await
                == 521
    })
    .await;
    assert_eq!(left(&context.blobs, &strays).await, 521);

    days_pass(&context).await;
    until("the last of them gone", PATIENCE, async || {
        left(&context.blobs, &strays[500..]).await == 0
    })
    .await;
    until("all of them", PATIENCE, async || {
        left(&context.blobs, &strays).await == 0
    })
    .await;
    coordinator.stop().await;
    for key in [&image, &result, &saved] {
        assert!(context.blobs.exists(key).await.unwrap(), "{key}");
    }
}

#[tokio::test]
async fn too_many_orphans_stop_the_sweep_until_they_are_accepted() {
    let context = TestContext::with_rabbitmq().await;
    let pictures = pictures(&context, 17).await;
    adopt(&context.store, &context.blobs, 0.0).await.unwrap();
    // One of twenty may be an orphan; two are too many.
    let mut strays = vec![stray(context.tenant, "result.png")];
    strays.push(stray(context.tenant, "result.png"));
    for key in &strays {
        put(&context.blobs, key).await;
    }
    let settings = sweeping(0.05);
    let coordinator = Coordinator::start(&context, settings);
    // Those that came a moment ago may get their rows yet.
    let mut before = 0;
    for _ in 0..3 {
        until("a walk", PATIENCE, async || {
            walk_began(&context).await > before
        })
        .await;
        before = walk_began(&context).await;
    }
    assert!(!context.store.sweep_stopped().await.unwrap());
    days_pass_at_once(&context).await;
    until("the sweep stopped", PATIENCE, async || {
        context.store.sweep_stopped().await.unwrap()
    })
    .await;
    walks(&context, 3).await;
    assert_eq!(left(&context.blobs, &strays).await, 2);

    assert_eq!(context.store.sweep_accept().await.unwrap(), 2);
    until("both gone", PATIENCE, async || {
        days_pass(&context).await;
        left(&context.blobs, &strays).await == 0
    })
    .await;
    assert!(!context.store.sweep_stopped().await.unwrap());
    coordinator.stop().await;
    assert_eq!(left(&context.blobs, &pictures).await, 17);
}

#[tokio::test]
async fn what_was_pruned_does_not_look_like_a_wrong_database() {
    let context = TestContext::with_rabbitmq().await;
    adopt(&context.store, &context.blobs, 0.0).await.unwrap();
    pictures(&context, 10).await;
    context
        .sql(&format!(
            "update images set used_at = now() - interval '60 days' where id <> '{}'",
            context.image
        ))
        .await;
    let coordinator = Coordinator::start(&context, sweeping(0.0));
    until("their rows gone", PATIENCE, async || {
        context.number("select count(*) from images").await == 1
    })
    .await;
    walks(&context, 3).await;
    coordinator.stop().await;
    assert!(!context.store.sweep_stopped().await.unwrap());
    assert_eq!(
        context
            .number("select count(*) from sweep_candidates")
            .await,
        0
    );
}
