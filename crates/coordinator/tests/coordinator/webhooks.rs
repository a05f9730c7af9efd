//! Deliveries: signed, retried, never inside, and a dead endpoint blocks nothing.

use std::collections::HashSet;
use std::time::Duration;

use limekiln_coordinator::{Settings, Webhooks};
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
    let secrets = context.store.webhook_secrets(context.tenant).await;
    let secret = secrets.unwrap().unwrap().secret;
    assert_eq!(received.len(), 3);
    for (attempt, one) in (1..).zip(&received) {
        assert!(one.is_signed(&secret), "{one:?}");
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
        context
            .number("select count(*) from webhooks where state = 'delivered'")
            .await
            == 2
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
    let untouched = "select count(*) from webhooks where state = 'pending' and attempts = 0 and due_at <= now()";
    assert_eq!(
        context.number(untouched).await,
        28,
        "the others wait, untried"
    );
    drop(coordinator);
}

#[tokio::test]
async fn what_waits_behind_a_dead_endpoint_is_not_given_up_unsent() {
    let context = TestContext::with_rabbitmq().await;
    // Down after three, and for two more; then it is back.
    let endpoint = Endpoint::start(&[1, 1, 1, 1, 1, 200]).await;
    for _ in 0..40 {
        ended(&context, context.submission(), &endpoint.url()).await;
    }
    let webhooks = Webhooks {
        attempts: 6,
        ..settings().webhooks
    };
    let coordinator = Coordinator::start(
        &context,
        Settings {
            webhooks,
            ..settings()
        },
    );
    let ended = "select count(*) from webhooks where state <> 'pending'";
    until("an end of all", PATIENCE, async || {
        context.number(ended).await == 40
    })
    .await;
    assert!(given_up(&context).await.is_empty());
    let received = endpoint.received().len();
    let attempts = "select sum(attempts) from webhooks";
    assert_eq!(received as i64, context.number(attempts).await);
    assert_eq!(received, 45, "each once, and five in vain");
    coordinator.stop().await;
}

#[tokio::test]
async fn many_lines_are_all_looked_at() {
    let context = TestContext::with_rabbitmq().await;
    let endpoint = Endpoint::start(&[200]).await;
    let edit = ended(&context, context.submission(), &endpoint.url()).await;
    // More endpoints than one look goes through, on both sides of the one that is due: a tenant's of many customers.
    let fill = format!(
        "insert into webhooks (tenant_id, edit_id, event, url, due_at)
        select '{}', '{edit}', 'edit.succeeded', 'http://' || host || n || '.example/', now() + interval '1 day'
        from generate_series(1, 1500) n, (values ('0-'), ('z-')) as hosts (host)",
        context.tenant
    );
    context.sql(&fill).await;
    let coordinator = Coordinator::start(&context, settings());
    until("a delivery", PATIENCE, async || {
        !endpoint.received().is_empty()
    })
    .await;
    coordinator.stop().await;
}

#[tokio::test]
async fn deliveries_are_signed_with_both_secrets_while_one_is_replaced() {
    let context = TestContext::with_rabbitmq().await;
    let endpoint = Endpoint::start(&[200]).await;
    // As earlier versions made them.
    let earlier = "update tenants set webhook_secret = 'whsec_' || repeat('0123456789abcdef', 4)";
    context.sql(earlier).await;
    let secrets = async || {
        let secrets = context.store.webhook_secrets(context.tenant).await;
        secrets.unwrap().unwrap()
    };
    let old = secrets().await.secret;
    let overlap = Duration::from_secs(3600);
    let store = &context.store;
    store
        .webhook_secret_rotate(context.tenant, overlap)
        .await
        .unwrap();
    let new = secrets().await.secret;
    ended(&context, context.submission(), &endpoint.url()).await;
    let coordinator = Coordinator::start(&context, settings());
    let received = async |count| {
        until("a delivery", PATIENCE, async || {
            endpoint.received().len() == count
        })
        .await;
        endpoint.received().pop().unwrap()
    };
    let first = received(1).await;
    assert!(first.is_signed(&old) && first.is_signed(&new));
    let over = "update tenants set webhook_secret_former_until = now() where webhook_secret_former_until is not null";
    context.sql(over).await;
    ended(&context, context.submission(), &endpoint.url()).await;
    let second = received(2).await;
    assert!(second.is_signed(&new) && !second.is_signed(&old));
    coordinator.stop().await;
}

#[tokio::test]
async fn a_delivery_whose_coordinator_died_comes_again_with_the_same_id() {
    let context = TestContext::with_rabbitmq().await;
    let endpoint = Endpoint::start(&[200]).await;
    ended(&context, context.submission(), &endpoint.url()).await;
    let due = context.store.webhooks_due(None, 10, 10).await.unwrap();
    let mut claimed = Vec::new();
    // Each of them dies with it, more often than it may fail: unsent, it is not given up.
    for _ in 0..2 * settings().webhooks.attempts {
        claimed = context.store.webhooks_claim(&due, NEVER).await.unwrap();
        assert_eq!(claimed.len(), 1);
        context.sql("update webhooks set due_at = now()").await;
    }
    let coordinator = Coordinator::start(&context, settings());
    until("a delivery", PATIENCE, async || {
        !endpoint.received().is_empty()
    })
    .await;
    let body = endpoint.received()[0].json();
    assert_eq!(
        (&body["id"], &body["attempt"]),
        (&claimed[0].id.to_string().into(), &1.into())
    );
    coordinator.stop().await;
    let late = context.store.webhook_done(&claimed[0]).await.unwrap();
    assert!(!late.is_applied());
}
