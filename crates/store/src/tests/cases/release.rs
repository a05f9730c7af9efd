use std::time::Duration;

use limekiln_jobs::{Class, EditId, StateName, WorkerId};

use crate::tests::context::*;
use crate::*;

pub(in crate::tests) async fn tenants_take_turns_and_interactive_goes_first(store: &Store) {
    let a = TestContext::new(store).await;
    let b = a.with_other_tenant().await;
    let mut of_a = Vec::new();
    for class in [
        Class::Bulk,
        Class::Interactive,
        Class::Interactive,
        Class::Interactive,
    ] {
        of_a.push(
            a.submit(Submission {
                class,
                ..a.submission()
            })
            .await,
        );
    }
    let mut of_b = Vec::new();
    for class in [Class::Interactive, Class::Bulk] {
        of_b.push(
            b.submit(Submission {
                class,
                ..b.submission()
            })
            .await,
        );
    }
    let released = store.edits_release(Some(&a.model), 100, 100).await.unwrap();
    let order: Vec<EditId> = released
        .iter()
        .map(|announcement| announcement.edit)
        .collect();
    assert_eq!(
        order,
        [of_a[1], of_b[0], of_a[2], of_a[3], of_a[0], of_b[1]]
    );
    assert!(
        released
            .iter()
            .all(|announcement| announcement.announcement == 1)
    );
    assert_eq!(released[1].tenant, b.tenant);
    assert!(a.release(100, 100).await.is_empty());
    // What a tenant has announced or running counts: the next is the other's.
    a.claim(of_a[1]).await;
    let (more_a, more_b) = (a.edit().await, b.edit().await);
    assert_eq!(a.release(100, 100).await, [more_b, more_a]);
}

/// A tenant's own bulk is no reason to let its interactive edits wait, and fills no window of theirs.
pub(in crate::tests) async fn each_class_has_turns_and_a_window_of_its_own(store: &Store) {
    let a = TestContext::new(store).await;
    let b = a.with_other_tenant().await;
    for n in 0..11 {
        let bulk = a.bulk().await;
        assert_eq!(
            a.release(6, 100).await,
            if n < 9 { vec![bulk] } else { vec![] }
        );
        if n < 3 {
            a.claim(bulk).await;
        }
    }
    let (of_a, of_b) = (a.edit().await, b.edit().await);
    let more: Vec<_> = [b.edit().await, a.edit().await].into();
    assert_eq!(a.release(6, 100).await, [of_a, of_b, more[0], more[1]]);
}

/// One interactive stream that never ends does not keep bulk waiting for ever.
pub(in crate::tests) async fn bulk_ages(store: &Store) {
    let context = TestContext::new(store).await;
    context.worker(16).await;
    let mut bulk = Vec::new();
    for _ in 0..4 {
        bulk.push(context.bulk().await);
    }
    context.edit().await;
    assert_eq!(context.release(8, 100).await.len(), 5);
    let wait = Duration::from_secs(60);
    let aged = async || {
        let aged = store.edits_age(wait, 10).await.unwrap();
        let of_model = aged.into_iter().filter(|one| one.model == context.model);
        of_model
            .map(|one| (one.edit, one.ahead, one.announcement))
            .collect::<Vec<_>>()
    };
    assert_eq!(aged().await, []);
    for edit in &bulk {
        age(
            store,
            *edit,
            "update edits set created_at = now() - interval '1 h' where id = $1",
        )
        .await;
    }
    // An eighth of the slots at a time, running ones included.
    assert_eq!(aged().await, [(bulk[0], true, 2), (bulk[1], true, 2)]);
    assert_eq!(aged().await, []);
    let epoch = context.claim(bulk[0]).await.epoch;
    assert_eq!(aged().await, []);
    // Handed back, it is bulk like any other until it is its turn again.
    assert!(store.edits_hand_back(&[(bulk[0], epoch, 0)]).await.unwrap()[0].is_applied());
    assert_eq!(aged().await, [(bulk[2], true, 2)]);
    assert_eq!(context.release(8, 100).await, [bulk[0]]);
}

/// What the queue still holds is not announced again, however long it waits.
pub(in crate::tests) async fn only_lost_messages_are_announced_again(store: &Store) {
    let context = TestContext::new(store).await;
    let edits = [
        context.edit().await,
        context.edit().await,
        context.edit().await,
    ];
    assert_eq!(context.release(8, 8).await.len(), 3);
    let overdue = async || {
        let all = store.edits_overdue().await.unwrap();
        all.into_iter().find(|one| one.model == context.model)
    };
    assert_eq!(overdue().await, None);
    let late = async || {
        for edit in edits {
            age(
                store,
                edit,
                "update edits set next_announce_at = now() where id = $1",
            )
            .await;
        }
        overdue().await.unwrap()
    };
    let found = late().await;
    assert_eq!(
        (found.class, found.cohort.clone(), found.unclaimed),
        (Class::Interactive, None, 3)
    );
    assert_eq!(store.edits_announce_again(&found, 0, 10).await.unwrap(), []);
    assert_eq!(
        overdue().await,
        None,
        "they are there, and looked after later"
    );
    let again = store
        .edits_announce_again(&late().await, 1, 10)
        .await
        .unwrap();
    let again: Vec<_> = again
        .into_iter()
        .map(|one| (one.edit, one.announcement))
        .collect();
    assert_eq!(again, [(edits[0], 2)], "the first is missing");
}

pub(in crate::tests) async fn the_window_follows_the_slots(store: &Store) {
    let context = TestContext::new(store).await;
    let submissions: Vec<_> = (0..20).map(|_| context.submission()).collect();
    store.edits_submit(&submissions).await.unwrap();
    assert_eq!(context.release(3, 100).await.len(), 3);
    assert_eq!(context.release(3, 100).await.len(), 0);
    context.claim(submissions[0].id).await;
    assert_eq!(context.release(3, 100).await, [submissions[3].id]);
    let worker = context.worker(4).await;
    assert_eq!(context.release(3, 2).await.len(), 2);
    assert_eq!(context.release(3, 100).await.len(), 3);
    // Slots of a worker that drains or is dead do not count.
    store.worker_drain(Some(worker), true).await.unwrap();
    assert_eq!(context.release(3, 100).await.len(), 0);
    assert_eq!(context.release(9, 100).await.len(), 1);
    store.fleet_pause().await.unwrap();
    assert!(store.fleet_paused().await.unwrap());
    assert_eq!(context.release(100, 100).await.len(), 0);
    store.fleet_resume().await.unwrap();
    assert!(!store.fleet_paused().await.unwrap());
    // Without a model, every model has its window.
    let other = TestContext::new(store).await;
    let theirs = other.edit().await;
    let released = store.edits_release(None, 10, 1000).await.unwrap();
    let of = |context: &TestContext| {
        released
            .iter()
            .filter(|announcement| announcement.model == context.model)
            .count()
    };
    assert_eq!((of(&context), of(&other)), (1, 1));
    assert!(
        released
            .iter()
            .any(|announcement| announcement.edit == theirs)
    );
}

pub(in crate::tests) async fn what_is_not_claimed_is_announced_again(store: &Store) {
    let context = TestContext::new(store).await;
    let edit = context.edit().await;
    assert_eq!(context.release(8, 8).await, [edit]);
    let again = async || {
        let again = context.announce_again(1000).await;
        again
            .into_iter()
            .find(|announcement| announcement.edit == edit)
            .map(|announcement| announcement.announcement)
    };
    assert_eq!(again().await, None);
    let mut waits_s = Vec::new();
    for n in 2..8 {
        age(
            store,
            edit,
            "update edits set next_announce_at = now() where id = $1",
        )
        .await;
        assert_eq!(again().await, Some(n));
        assert_eq!(again().await, None);
        let left = sqlx::query(
            "select extract(epoch from next_announce_at - now())::float8 from edits where id = $1",
        );
        let left = store
            .row("test", left.bind(edit.uuid()))
            .await
            .unwrap()
            .unwrap();
        waits_s.push(sqlx::Row::get::<f64, _>(&left, 0));
    }
    for (wait_s, expected_s) in waits_s.iter().zip([20.0, 40.0, 80.0, 120.0, 120.0, 120.0]) {
        assert!(
            (expected_s - 5.0..=expected_s).contains(wait_s),
            "{waits_s:?}"
        );
    }
    // A publish that failed is taken back, and released like the first time.
    assert_eq!(
        store
            .edits_unannounce(&[edit, edit, EditId::new()])
            .await
            .unwrap(),
        1
    );
    assert_eq!(store.edits_unannounce(&[edit]).await.unwrap(), 0);
    assert_eq!(context.release(8, 8).await, [edit]);
    context.claim(edit).await;
    assert_eq!(store.edits_unannounce(&[edit]).await.unwrap(), 0);
    assert_eq!(context.state(edit).await, StateName::Running);
    // No announcement is an event.
    assert_eq!(context.kinds(edit).await.len(), 2);
}

pub(in crate::tests) async fn a_turn_is_offered_to_the_worker_of_its_parent(store: &Store) {
    let context = TestContext::new(store).await;
    let warm = context.worker(2).await;
    let here = TestContext {
        worker: warm,
        ..context.clone()
    };
    let parent = here.done().await;
    let mut turns = vec![context.submit(context.turn(parent)).await];
    let offered = async |turns: &[EditId]| -> Vec<Option<WorkerId>> {
        store.edits_unannounce(turns).await.unwrap();
        let released = store.edits_release(Some(&context.model), 100, 100);
        let mut released = released.await.unwrap();
        released.sort_by_key(|one| one.edit);
        released.into_iter().map(|one| one.warm).collect()
    };
    // It is the only one that could take it.
    assert_eq!(offered(&turns).await, [None]);
    let other = context.worker(2).await;
    assert_eq!(offered(&turns).await, [Some(warm)]);
    // As many as it has slots for, and nothing but turns.
    for _ in 0..2 {
        turns.push(context.submit(context.turn(parent)).await);
    }
    turns.push(context.edit().await);
    assert_eq!(offered(&turns).await, [Some(warm), Some(warm), None, None]);
    here.claim(turns[0]).await;
    assert_eq!(offered(&turns).await, [Some(warm), None, None]);
    assert_eq!(
        store.edits_unclaimed(&turns).await.unwrap().len(),
        3,
        "the one that runs is claimed"
    );
    here.claim(turns[1]).await;
    assert_eq!(offered(&turns).await, [None, None]);
    // To the one that is gone nothing is offered, nor to one that drains.
    let elsewhere = TestContext {
        worker: other,
        ..context.clone()
    };
    let epoch = elsewhere.claim(turns[2]).await.epoch;
    assert!(elsewhere.complete(turns[2], epoch).await.is_applied());
    let turns = [turns[3], context.submit(context.turn(turns[2])).await];
    assert_eq!(offered(&turns).await, [None, Some(other)]);
    store.worker_drain(Some(other), true).await.unwrap();
    assert_eq!(offered(&turns).await, [None, None]);
    store.worker_gone(other).await.unwrap();
    assert_eq!(offered(&turns).await, [None, None]);
}

impl From<NewImage> for BlobRef {
    fn from(image: NewImage) -> Self {
        Self {
            key: image.key,
            digest: image.digest,
            bytes: image.bytes,
            media_type: image.media_type,
        }
    }
}
