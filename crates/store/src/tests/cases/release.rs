use limekiln_jobs::{Class, EditId, StateName};

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
    assert_eq!(released[0].input, picture(a.tenant, b"picture").into());
    assert!(a.release(100, 100).await.is_empty());
    // What a tenant has announced or running counts: the next is the other's.
    a.claim(of_a[1]).await;
    let (more_a, more_b) = (a.edit().await, b.edit().await);
    assert_eq!(a.release(100, 100).await, [more_b, more_a]);
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
        let again = store.edits_announce_again(1000).await.unwrap();
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
