//! Deliveries: signed, retried, never inside, and a dead endpoint blocks nothing.

use std::collections::HashSet;
use std::time::Duration;

use limekiln_coordinator::{SIGNATURE_HEADER, Settings, Webhooks, verify};
use limekiln_fixture::{NEVER, PATIENCE, TestContext, png};
use limekiln_jobs::{EditId, FailureClass};
use limekiln_store::Submission;
use limekiln_testbed::until;

use crate::endpoint::Endpoint;
use crate::running::{Coordinator, settings};

/// An edit that has ended well, with a webhook due.
async fn ended(context: &TestContext, submission: Submission, url: &str) -> EditId {
    let webhook_url = Some(url.to_owned());
    let edit = context
        .submit(Submission {
            webhook_url,
            ..submission
        })
        .await;
    let claimed = context.claim(edit).await;
    context.complete(&claimed).await;
    edit
}

async fn given_up(context: &TestContext) -> Vec<(EditId, String)> {
    let given_up = context.store.webhooks_given_up(100).await.unwrap();
    given_up
        .into_iter()
        .map(|(_, edit, _, error)| (edit, error))
        .collect()
}

#[tokio::test]
async fn a_delivery_is_signed_and_tried_again_until_it_is_taken() {
    let context = TestContext::with_rabbitmq().await;
    let endpoint = Endpoint::start(&[500, 302, 200]).await;
    let edit = ended(&context, context.submission(), &endpoint.url()).await;
    let coordinator = Coordinator::start(&context, settings());
    until("a delivery noted", PATIENCE, async || {
        context
            .number("select count(*) from webhooks where state = 'delivered'")
            .await
            == 1
    })
    .await;
    let received = endpoint.received();
    let secret = context
        .store
        .tenant_webhook_secret(context.tenant)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(received.len(), 3);
    for (attempt, one) in (1..).zip(&received) {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let signature = one.header(SIGNATURE_HEADER);
        assert_eq!(
            verify(
                secret.expose().as_bytes(),
                signature,
                &one.body,
                now,
                Duration::from_secs(60)
            ),
            Ok(())
        );
        let body = one.json();
        assert_eq!(
            (&body["type"], &body["attempt"]),
            (&"edit.succeeded".into(), &attempt.into())
        );
        assert_eq!(body["id"], received[0].json()["id"]);
        assert_eq!(body["edit"]["id"], edit.to_string());
        assert_eq!(body["edit"]["state"], "succeeded");
    }
    coordinator.stop().await;
    assert_eq!(endpoint.received().len(), 3);
}

#[tokio::test]
async fn a_failed_edit_tells_its_reason() {
    let context = TestContext::with_rabbitmq().await;
    let endpoint = Endpoint::start(&[204]).await;
    let edit = context
        .submit(Submission {
            webhook_url: Some(endpoint.url()),
            ..context.submission()
        })
        .await;
    let claimed = context.claim(edit).await;
    context.fail(edit, claimed.epoch, FailureClass::User).await;
    let coordinator = Coordinator::start(&context, settings());
    until("a delivery", PATIENCE, async || {
        !endpoint.received().is_empty()
    })
    .await;
    let body = endpoint.received()[0].json();
    assert_eq!(
        (&body["type"], &body["edit"]["error"]["code"]),
        (&"edit.failed".into(), &"test".into())
    );
    coordinator.stop().await;
}

#[tokio::test]
async fn after_the_last_attempt_it_is_given_up_and_that_is_seen() {
    let context = TestContext::with_rabbitmq().await;
    let endpoint = Endpoint::start(&[503]).await;
    let edit = ended(&context, context.submission(), &endpoint.url()).await;
    let webhooks = Webhooks {
        attempts: 2,
        ..settings().webhooks
    };
    let coordinator = Coordinator::start(
        &context,
        Settings {
            webhooks,
            ..settings()
        },
    );
    until("a delivery given up", PATIENCE, async || {
        !given_up(&context).await.is_empty()
    })
    .await;
    assert_eq!(
        given_up(&context).await,
        [(edit, "the endpoint answered 503".to_owned())]
    );
    assert_eq!(endpoint.received().len(), 2);
    coordinator.stop().await;
}

#[tokio::test]
async fn private_addresses_are_refused_at_once() {
    let context = TestContext::with_rabbitmq().await;
    let endpoint = Endpoint::start(&[200]).await;
    let direct = ended(&context, context.submission(), &endpoint.url()).await;
    let named = ended(
        &context,
        context.submission(),
        &endpoint.url().replace("127.0.0.1", "localhost"),
    )
    .await;
    let mapped = ended(
        &context,
        context.submission(),
        &endpoint.url().replace("127.0.0.1", "[::ffff:127.0.0.1]"),
    )
    .await;
    let webhooks = Webhooks {
        allow_private: false,
        ..settings().webhooks
    };
    let coordinator = Coordinator::start(
        &context,
        Settings {
            webhooks,
            ..settings()
        },
    );
    until("three given up", PATIENCE, async || {
        given_up(&context).await.len() == 3
    })
    .await;
    let refused = given_up(&context).await;
    assert_eq!(
        refused
            .iter()
            .map(|(edit, _)| *edit)
            .collect::<HashSet<_>>(),
        HashSet::from([direct, named, mapped])
    );
    for (_, error) in refused {
        assert!(error.contains("address of the public internet"), "{error}");
    }
    assert_eq!(endpoint.received().len(), 0);
    coordinator.stop().await;
}

#[tokio::test]
async fn a_dead_endpoint_blocks_nothing() {
    let context = TestContext::with_rabbitmq().await;
    let (dead, alive) = (Endpoint::start(&[0]).await, Endpoint::start(&[200]).await);
    let other = context.tenant_create().await;
    let image = context.image_create(other, png(1)).await;
    let others = context.submission_of(other, image);
    for _ in 0..30 {
        ended(&context, context.submission(), &dead.url()).await;
    }
    // The same tenant's and another's, behind all those.
    let edits = [
        ended(&context, context.submission(), &alive.url()).await,
        ended(&context, others, &alive.url()).await,
    ];
    let webhooks = Webhooks {
        concurrency: 8,
        per_endpoint: 2,
        timeout: NEVER / 60,
        ..settings().webhooks
    };
    let coordinator = Coordinator::start(
        &context,
        Settings {
            webhooks,
            ..settings()
        },
    );
    until("what is alive delivered", PATIENCE, async || {
        alive.received().len() == 2
    })
    .await;
    let told: HashSet<_> = alive
        .received()
        .iter()
        .map(|one| one.json()["edit"]["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, HashSet::from(edits.map(|edit| edit.to_string())));
    assert!(
        dead.received().len() <= 2,
        "{} at once",
        dead.received().len()
    );
    drop(coordinator);
}

#[tokio::test]
async fn a_delivery_whose_coordinator_died_comes_again_with_the_same_id() {
    let context = TestContext::with_rabbitmq().await;
    let endpoint = Endpoint::start(&[200]).await;
    ended(&context, context.submission(), &endpoint.url()).await;
    let claimed = context.store.webhooks_claim(10, NEVER).await.unwrap();
    assert_eq!(claimed.len(), 1);
    context.sql("update webhooks set due_at = now()").await;
    let coordinator = Coordinator::start(&context, settings());
    until("a delivery", PATIENCE, async || {
        !endpoint.received().is_empty()
    })
    .await;
    let body = endpoint.received()[0].json();
    assert_eq!(
        (&body["id"], &body["attempt"]),
        (&claimed[0].id.to_string().into(), &2.into())
    );
    coordinator.stop().await;
    assert!(
        !context
            .store
            .webhook_done(claimed[0].id, claimed[0].attempt)
            .await
            .unwrap()
            .is_applied()
    );
}
