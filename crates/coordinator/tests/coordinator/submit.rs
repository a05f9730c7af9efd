//! Submissions: merged, aligned with their answers, and through outages written once.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use limekiln_broker::Broker;
use limekiln_coordinator::{Error, Submitter};
use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_jobs::{Digest, EditId, ImageId, Retryable, StateName, TenantId};
use limekiln_store::{Idempotency, Submission, Submitted};
use limekiln_testbed::{Postgres, Proxy, until};
use sqlx::Connection as _;

use crate::running::submitter;

#[tokio::test]
async fn what_comes_at_once_is_written_at_once_and_each_gets_its_own_answer() {
    let context = TestContext::with_rabbitmq().await;
    let submitter = submitter(&context);
    let keyed = |key: &str, body: &str| Submission {
        idempotency: Some(Idempotency {
            key: key.to_owned(),
            digest: Digest::of(body.as_bytes()),
        }),
        ..context.submission()
    };
    let submissions: Vec<_> = (0..400)
        .map(|n| match n % 4 {
            0 => context.submission(),
            1 => context.submission_of(context.tenant, ImageId::new()),
            2 => keyed(&format!("key {}", n / 8), "body"),
            _ => context.submission_of(TenantId::new(), context.image),
        })
        .collect();
    let answers = join_all(submissions.iter().map(|one| submitter.submit(one.clone()))).await;
    for (n, answer) in answers.iter().enumerate() {
        let answer = answer.as_ref().unwrap();
        match n % 4 {
            0 => assert!(
                matches!(
                    answer,
                    Submitted::Created {
                        state: StateName::Queued,
                        ..
                    }
                ),
                "{n}: {answer:?}"
            ),
            1 => assert_eq!(*answer, Submitted::NoImage, "{n}"),
            // Two with each key: the one that came first wrote it.
            2 => {
                let other = if n % 8 == 2 { n + 4 } else { n - 4 };
                let pair = (answer, answers[other].as_ref().unwrap());
                let one_wrote = match pair {
                    (Submitted::Created { .. }, Submitted::Replayed { id, .. }) => {
                        *id == submissions[n].id
                    }
                    (Submitted::Replayed { id, .. }, Submitted::Created { .. }) => {
                        *id == submissions[other].id
                    }
                    _ => false,
                };
                assert!(one_wrote, "{n}: {pair:?}");
            }
            _ => assert_eq!(*answer, Submitted::NoTenant, "{n}"),
        }
    }
    assert_eq!(
        submitter
            .submit(keyed("key 0", "another body"))
            .await
            .unwrap(),
        Submitted::KeyReused
    );
    assert_eq!(context.number("select count(*) from edits").await, 150);
    let transactions = context
        .number("select count(distinct xmin::text) from edits")
        .await;
    assert!(transactions <= 10, "{transactions} transactions");
}

#[tokio::test]
async fn whose_client_went_away_before_it_was_written_is_not_written() {
    let context = TestContext::with_rabbitmq().await;
    let submitter = submitter(&context);
    let mut connection = context.connection().await;
    let mut lock = connection.begin().await.unwrap();
    sqlx::query("select from tenants for update")
        .execute(&mut *lock)
        .await
        .unwrap();
    // The first keeps the writer waiting, so that the second waits for the writer, and gives up.
    let first = tokio::spawn({
        let (submitter, submission) = (submitter.clone(), context.submission());
        async move { submitter.submit(submission).await }
    });
    let waiters = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    until("a writer that waits", PATIENCE, async || {
        context.number(waiters).await == 1
    })
    .await;
    let given_up = context.submission();
    let waiting = submitter.submit(given_up.clone());
    assert!(
        tokio::time::timeout(Duration::from_millis(50), waiting)
            .await
            .is_err()
    );
    lock.rollback().await.unwrap();
    assert!(matches!(
        first.await.unwrap(),
        Ok(Submitted::Created { .. })
    ));
    let last = submitter.submit(context.submission()).await.unwrap();
    assert!(matches!(last, Submitted::Created { .. }));
    assert!(
        context
            .store
            .edit_get(context.tenant, given_up.id)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn submissions_outlive_a_short_outage() {
    let context = TestContext::with_rabbitmq().await;
    let proxy = Proxy::start(Postgres::shared().port());
    let submitter = submitter(&context.behind(&proxy).await);
    proxy.refuse();
    proxy.cut();
    let before = proxy.accepted();
    let submissions: Vec<_> = (0..20).map(|_| context.submission()).collect();
    let answers = tokio::spawn(join_all(submissions.clone().into_iter().map(|one| {
        let submitter = submitter.clone();
        async move { submitter.submit(one).await }
    })));
    until("a refused connection", PATIENCE, async || {
        proxy.accepted() > before
    })
    .await;
    proxy.resume();
    for answer in answers.await.unwrap() {
        assert!(matches!(answer.unwrap(), Submitted::Created { .. }));
    }
    assert_eq!(context.number("select count(*) from edits").await, 20);
}

#[tokio::test]
async fn what_a_lost_answer_had_written_is_found_and_not_written_twice() {
    let context = TestContext::with_rabbitmq().await;
    let proxy = Proxy::start(Postgres::shared().port());
    let submitter = submitter(&context.behind(&proxy).await);
    proxy.refuse();
    proxy.cut();
    let before = proxy.accepted();
    let (lost, fresh) = (context.submission(), context.submission());
    let answers = tokio::spawn({
        let (submitter, both) = (submitter.clone(), [lost.clone(), fresh.clone()]);
        async move { join_all(both.map(|one| submitter_submit(submitter.clone(), one))).await }
    });
    until("a refused connection", PATIENCE, async || {
        proxy.accepted() > before
    })
    .await;
    // The first attempt's transaction came through after all.
    context
        .store
        .edits_submit(std::slice::from_ref(&lost))
        .await
        .unwrap();
    proxy.resume();
    for answer in answers.await.unwrap() {
        let answer = answer.unwrap();
        assert!(
            matches!(
                answer,
                Submitted::Created {
                    state: StateName::Queued,
                    seq: 1,
                    ..
                }
            ),
            "{answer:?}"
        );
    }
    assert_eq!(context.number("select count(*) from edits").await, 2);
    assert_eq!(
        context
            .number("select sum(in_flight)::bigint from tenants")
            .await,
        2
    );
}

async fn submitter_submit(submitter: Submitter, one: Submission) -> Result<Submitted, Error> {
    submitter.submit(one).await
}

#[tokio::test]
async fn one_that_postgres_refuses_does_not_harm_the_others_of_its_batch() {
    let context = TestContext::with_rabbitmq().await;
    context
        .sql("alter table edits add constraint test_no_seven check (spec->>'seed' <> '7')")
        .await;
    let submitter = submitter(&context);
    let submissions = (0..20).map(|seed| {
        let mut one = context.submission();
        one.spec.seed = seed;
        one
    });
    let answers = join_all(submissions.map(|one| submitter.submit(one))).await;
    for (seed, answer) in answers.iter().enumerate() {
        match answer {
            Err(error) => assert!(seed == 7 && !error.is_transient(), "{seed}: {error}"),
            Ok(submitted) => assert!(
                seed != 7 && matches!(submitted, Submitted::Created { .. }),
                "{seed}: {submitted:?}"
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_is_answered_and_what_waits_is_bounded() {
    let context = TestContext::with_rabbitmq().await;
    let proxy = Proxy::start(Postgres::shared().port());
    let submitter = Submitter::new(context.behind(&proxy).await.store, Broker::local());
    proxy.refuse();
    proxy.cut();
    let start = Instant::now();
    let answers = join_all((0..2000).map(|_| submitter.submit(context.submission()))).await;
    let took = start.elapsed();
    let overloaded = answers
        .iter()
        .filter(|answer| matches!(answer, Err(Error::Overloaded)))
        .count();
    let transient = answers
        .iter()
        .filter(|answer| answer.as_ref().is_err_and(Retryable::is_transient))
        .count();
    assert_eq!(transient, 2000);
    assert!(
        (2000 - 1024 - 256..=2000 - 1024).contains(&overloaded),
        "{overloaded} were turned away"
    );
    assert!(took < Duration::from_secs(14), "{took:?}");
    assert_eq!(context.number("select count(*) from edits").await, 0);
    proxy.resume();
    let id = EditId::new();
    let answer = submitter
        .submit(Submission {
            id,
            ..context.submission()
        })
        .await
        .unwrap();
    assert!(matches!(answer, Submitted::Created { .. }));
}
