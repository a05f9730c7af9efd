use std::time::Duration;

use limekiln_jobs::{
    Digest, EditId, EventKind, FailureClass, ImageId, SessionId, StateName, TenantId,
};

use crate::tests::kit::*;
use crate::*;

fn keyed(place: &Place, key: &str, body: &[u8]) -> Submission {
    let idempotency = Some(Idempotency {
        key: key.to_owned(),
        digest: Digest::of(body),
    });
    Submission {
        idempotency,
        ..place.submission()
    }
}

pub(in crate::tests) async fn an_edit_is_written_once(store: &Store) {
    let place = Place::new(store).await;
    assert_eq!(store.edits_submit(&[]).await.unwrap(), []);
    let first = keyed(&place, "a", b"body");
    let submitted = store
        .edits_submit(std::slice::from_ref(&first))
        .await
        .unwrap();
    let Submitted::Created {
        state: StateName::Queued,
        created_at,
        seq: 1,
    } = submitted[0]
    else {
        panic!("{submitted:?}")
    };
    assert_eq!(place.kinds(first.id).await, [EventKind::Queued]);
    // The answer was lost, and the call repeated.
    assert_eq!(
        store
            .edits_submit(std::slice::from_ref(&first))
            .await
            .unwrap(),
        submitted
    );
    // The client repeats its request, or reuses its key, whatever has become of the edit.
    place.claim(first.id).await;
    let replayed = Submitted::Replayed {
        id: first.id,
        state: StateName::Queued,
        created_at,
    };
    let stranger = place.neighbour().await;
    let answers = store
        .edits_submit(&[
            keyed(&place, "a", b"body"),
            keyed(&place, "a", b"other"),
            keyed(&place, "b", b"body"),
            keyed(&place, "b", b"body"),
            keyed(&place, "b", b"other"),
            keyed(&stranger, "a", b"other"),
        ])
        .await
        .unwrap();
    assert_eq!(answers[..2], [replayed, Submitted::KeyReused]);
    let Submitted::Created { created_at, .. } = answers[2] else {
        panic!("{answers:?}")
    };
    assert!(
        matches!(answers[3], Submitted::Replayed { created_at: at, .. } if at == created_at),
        "{answers:?}"
    );
    assert_eq!(answers[4], Submitted::KeyReused);
    assert!(matches!(answers[5], Submitted::Created { .. }));
    assert_eq!(place.in_flight().await, 2);
    let bad = keyed(&place, "", b"body");
    assert!(matches!(
        store.edits_submit(&[bad]).await,
        Err(Error::Invalid {
            field: "idempotency_key",
            ..
        })
    ));
}

pub(in crate::tests) async fn what_is_missing_is_named(store: &Store) {
    let place = Place::new(store).await;
    let other = Place::new(store).await;
    let theirs = other.edit().await;
    let session = SessionId::new();
    store.session_create(other.tenant, session).await.unwrap();
    let failed = place.running().await;
    assert!(
        place
            .fail(failed.0, failed.1, FailureClass::User)
            .await
            .is_applied()
    );
    let submissions = [
        (
            Submission {
                image: Some(ImageId::new()),
                ..place.submission()
            },
            Submitted::NoImage,
        ),
        (
            Submission {
                image: Some(other.image),
                ..place.submission()
            },
            Submitted::NoImage,
        ),
        (
            Submission {
                mask: Some(other.image),
                ..place.submission()
            },
            Submitted::NoMask,
        ),
        (
            Submission {
                session: Some(session),
                ..place.submission()
            },
            Submitted::NoSession,
        ),
        (place.turn(EditId::new()), Submitted::NoParent),
        (place.turn(theirs), Submitted::NoParent),
        (place.turn(failed.0), Submitted::ParentEnded),
        (
            Submission {
                tenant: TenantId::new(),
                ..place.submission()
            },
            Submitted::NoTenant,
        ),
    ];
    let (asked, expected): (Vec<_>, Vec<_>) = submissions.into_iter().unzip();
    assert_eq!(store.edits_submit(&asked).await.unwrap(), expected);
    assert_eq!(place.in_flight().await, 0);
    assert!(
        store
            .edit_get(place.tenant, asked[0].id)
            .await
            .unwrap()
            .is_none()
    );
    let both = Submission {
        parent: Some(theirs),
        ..place.submission()
    };
    assert!(matches!(
        store.edits_submit(&[both]).await,
        Err(Error::Invalid { .. })
    ));
}

pub(in crate::tests) async fn limits_are_exact(store: &Store) {
    let place = Place::with(
        store,
        &Limits {
            rate_per_second: 1e6,
            rate_burst: 1000,
            in_flight: 3,
        },
    )
    .await;
    let submissions: Vec<_> = (0..5).map(|_| place.submission()).collect();
    let answers = store.edits_submit(&submissions).await.unwrap();
    let created = |answers: &[Submitted]| {
        answers
            .iter()
            .filter(|answer| matches!(answer, Submitted::Created { .. }))
            .count()
    };
    assert_eq!(created(&answers), 3);
    assert_eq!(answers[3], Submitted::InFlight { limit: 3 });
    assert_eq!(place.in_flight().await, 3);
    // Every end gives one place back.
    let claimed = place.claim(submissions[0].id).await;
    assert!(
        place
            .complete(claimed.edit, claimed.epoch)
            .await
            .is_applied()
    );
    let claimed = place.claim(submissions[1].id).await;
    assert!(
        place
            .fail(claimed.edit, claimed.epoch, FailureClass::User)
            .await
            .is_applied()
    );
    assert!(matches!(
        store
            .edit_cancel(place.tenant, submissions[2].id)
            .await
            .unwrap(),
        Cancel::Cancelled {
            was_running: None,
            ..
        }
    ));
    assert_eq!(place.in_flight().await, 0);

    // A bucket of two that fills too slowly for this test to see.
    let slow = Place::with(
        store,
        &Limits {
            rate_per_second: 0.001,
            rate_burst: 2,
            in_flight: 100,
        },
    )
    .await;
    let submissions: Vec<_> = (0..3).map(|_| slow.submission()).collect();
    let answers = store.edits_submit(&submissions).await.unwrap();
    assert_eq!(created(&answers), 2);
    let Submitted::RateLimited { retry_after } = answers[2] else {
        panic!("{answers:?}")
    };
    assert!(
        retry_after > Duration::from_secs(900) && retry_after < Duration::from_secs(1001),
        "{retry_after:?}"
    );
    // Later there is one more.
    let later = sqlx::query(
        "update tenants set rate_at = rate_at - make_interval(secs => $2) where id = $1",
    );
    store
        .count(
            "test",
            later
                .bind(slow.tenant.uuid())
                .bind(retry_after.as_secs_f64()),
        )
        .await
        .unwrap();
    let submissions: Vec<_> = (0..2).map(|_| slow.submission()).collect();
    assert_eq!(created(&store.edits_submit(&submissions).await.unwrap()), 1);
}

pub(in crate::tests) async fn turns_wait_for_their_parents(store: &Store) {
    let place = Place::new(store).await;
    let session = SessionId::new();
    store.session_create(place.tenant, session).await.unwrap();
    let first = Submission {
        session: Some(session),
        ..place.submission()
    };
    let second = place.turn(first.id);
    let answers = store
        .edits_submit(&[first.clone(), second.clone()])
        .await
        .unwrap();
    assert!(
        matches!(
            answers[1],
            Submitted::Created {
                state: StateName::Waiting,
                seq: 1,
                ..
            }
        ),
        "{answers:?}"
    );
    assert_eq!(place.kinds(second.id).await, [EventKind::Waiting]);
    let view = store
        .edit_get(place.tenant, second.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (view.session, view.parent, view.image),
        (Some(session), Some(first.id), None)
    );
    let claimed = place.claim(first.id).await;
    assert_eq!(claimed.session, Some(session));
    assert!(place.complete(first.id, claimed.epoch).await.is_applied());
    let third = place.submit(place.turn(first.id)).await;
    assert_eq!(place.state(third).await, StateName::Queued);
    assert_eq!(place.state(second.id).await, StateName::Waiting);
}
