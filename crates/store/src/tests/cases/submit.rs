use std::time::Duration;

use limekiln_jobs::{
    Digest, EditId, EventKind, FailureClass, ImageId, SessionId, StateName, TenantId,
};

use crate::tests::context::*;
use crate::*;

fn keyed(context: &TestContext, key: &str, body: &[u8]) -> Submission {
    let idempotency = Some(Idempotency {
        key: key.to_owned(),
        digest: Digest::of(body),
    });
    Submission {
        idempotency,
        ..context.submission()
    }
}

pub(in crate::tests) async fn an_edit_is_written_once(store: &Store) {
    let context = TestContext::new(store).await;
    assert_eq!(store.edits_submit(&[]).await.unwrap(), []);
    let first = keyed(&context, "a", b"body");
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
    assert_eq!(context.kinds(first.id).await, [EventKind::Queued]);
    // The answer was lost, and the call repeated.
    assert_eq!(
        store
            .edits_submit(std::slice::from_ref(&first))
            .await
            .unwrap(),
        submitted
    );
    // The client repeats its request, or reuses its key, whatever has become of the edit.
    context.claim(first.id).await;
    let replayed = Submitted::Replayed {
        id: first.id,
        state: StateName::Queued,
        created_at,
    };
    let stranger = context.with_other_tenant().await;
    let answers = store
        .edits_submit(&[
            keyed(&context, "a", b"body"),
            keyed(&context, "a", b"other"),
            keyed(&context, "b", b"body"),
            keyed(&context, "b", b"body"),
            keyed(&context, "b", b"other"),
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
    assert_eq!(context.in_flight().await, 2);
    let bad = keyed(&context, "", b"body");
    assert!(matches!(
        store.edits_submit(&[bad]).await,
        Err(Error::Invalid {
            field: "idempotency_key",
            ..
        })
    ));
}

pub(in crate::tests) async fn what_is_missing_is_named(store: &Store) {
    let context = TestContext::new(store).await;
    let other = TestContext::new(store).await;
    let theirs = other.edit().await;
    let session = SessionId::new();
    store.session_create(other.tenant, session).await.unwrap();
    let failed = context.running().await;
    assert!(
        context
            .fail(failed.0, failed.1, FailureClass::User)
            .await
            .is_applied()
    );
    let submissions = [
        (
            Submission {
                image: Some(ImageId::new()),
                ..context.submission()
            },
            Submitted::NoImage,
        ),
        (
            Submission {
                image: Some(other.image),
                ..context.submission()
            },
            Submitted::NoImage,
        ),
        (
            Submission {
                mask: Some(other.image),
                ..context.submission()
            },
            Submitted::NoMask,
        ),
        (
            Submission {
                session: Some(session),
                ..context.submission()
            },
            Submitted::NoSession,
        ),
        (context.turn(EditId::new()), Submitted::NoParent),
        (context.turn(theirs), Submitted::NoParent),
        (context.turn(failed.0), Submitted::ParentEnded),
        (
            Submission {
                tenant: TenantId::new(),
                ..context.submission()
            },
            Submitted::NoTenant,
        ),
    ];
    let (asked, expected): (Vec<_>, Vec<_>) = submissions.into_iter().unzip();
    assert_eq!(store.edits_submit(&asked).await.unwrap(), expected);
    assert_eq!(context.in_flight().await, 0);
    assert!(
        store
            .edit_get(context.tenant, asked[0].id)
            .await
            .unwrap()
            .is_none()
    );
    let both = Submission {
        parent: Some(theirs),
        ..context.submission()
    };
    assert!(matches!(
        store.edits_submit(&[both]).await,
        Err(Error::Invalid { .. })
    ));
}

pub(in crate::tests) async fn limits_are_exact(store: &Store) {
    let context = TestContext::with(
        store,
        &Limits {
            rate_per_second: 1e6,
            rate_burst: 1000,
            in_flight: 3,
            ..Limits::default()
        },
    )
    .await;
    let submissions: Vec<_> = (0..5).map(|_| context.submission()).collect();
    let answers = store.edits_submit(&submissions).await.unwrap();
    let created = |answers: &[Submitted]| {
        answers
            .iter()
            .filter(|answer| matches!(answer, Submitted::Created { .. }))
            .count()
    };
    assert_eq!(created(&answers), 3);
    assert_eq!(answers[3], Submitted::InFlight { limit: 3 });
    assert_eq!(context.in_flight().await, 3);
    // Every end gives one place back.
    let claimed = context.claim(submissions[0].id).await;
    assert!(
        context
            .complete(claimed.edit, claimed.epoch)
            .await
            .is_applied()
    );
    let claimed = context.claim(submissions[1].id).await;
    assert!(
        context
            .fail(claimed.edit, claimed.epoch, FailureClass::User)
            .await
            .is_applied()
    );
    assert!(matches!(
        store
            .edit_cancel(context.tenant, submissions[2].id)
            .await
            .unwrap(),
        Cancel::Cancelled {
            was_running: None,
            ..
        }
    ));
    assert_eq!(context.in_flight().await, 0);

    // A bucket of two that fills too slowly for this test to see.
    let slow = TestContext::with(
        store,
        &Limits {
            rate_per_second: 0.001,
            rate_burst: 2,
            in_flight: 100,
            ..Limits::default()
        },
    )
    .await;
    let submissions: Vec<_> = (0..3).map(|_| slow.submission()).collect();
    let answers = store.edits_submit(&submissions).await.unwrap();
    assert_eq!(created(&answers), 2);
    let Submitted::RateLimited { retry_after, .. } = answers[2] else {
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
    let context = TestContext::new(store).await;
    let session = SessionId::new();
    store.session_create(context.tenant, session).await.unwrap();
    let first = Submission {
        session: Some(session),
        ..context.submission()
    };
    let second = context.turn(first.id);
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
    assert_eq!(context.kinds(second.id).await, [EventKind::Waiting]);
    let view = store
        .edit_get(context.tenant, second.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (view.session, view.parent, view.image),
        (Some(session), Some(first.id), None)
    );
    let claimed = context.claim(first.id).await;
    assert_eq!(claimed.session, Some(session));
    assert!(context.complete(first.id, claimed.epoch).await.is_applied());
    let third = context.submit(context.turn(first.id)).await;
    assert_eq!(context.state(third).await, StateName::Queued);
    assert_eq!(context.state(second.id).await, StateName::Queued);
}

pub(in crate::tests) async fn a_bucket_keeps_what_it_gains_while_an_edit_comes_in(store: &Store) {
    let context = TestContext::new(store).await;
    // The look finds the bucket as it is then; a look that was slow shows in a clock that has gone on since.
    let slow = sqlx::query("update tenants set rate_at = now() + interval '1 h' where id = $1")
        .bind(context.tenant.uuid());
    store.count("test", slow).await.unwrap();
    context.edit().await;
    let row = sqlx::query(
        "select rate_at > now() + interval '59 min' as kept from tenants where id = $1",
    )
    .bind(context.tenant.uuid());
    let row = store.row("test", row).await.unwrap().unwrap();
    assert!(sqlx::Row::get::<bool, _>(&row, "kept"));
    // The clock of the bucket is the look's, which is before the statement that writes it begins.
    let early = sqlx::query("update tenants set rate_at = now() - interval '1 h' where id = $1")
        .bind(context.tenant.uuid());
    store.count("test", early).await.unwrap();
    let edit = context.edit().await;
    let row = sqlx::query(
        "select t.rate_at < e.created_at as before, t.rate_at > e.created_at - interval '5 s' as near
        from tenants t join edits e on e.tenant_id = t.id
        where e.id = $1",
    )
    .bind(edit.uuid());
    let row = store.row("test", row).await.unwrap().unwrap();
    assert!(sqlx::Row::get::<bool, _>(&row, "before"));
    assert!(sqlx::Row::get::<bool, _>(&row, "near"));
}
