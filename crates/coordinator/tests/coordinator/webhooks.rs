//! Deliveries: signed, retried, never inside, and a dead endpoint blocks nothing.

use std::collections::HashSet;
use std::time::Duration;

use limekiln_coordinator::{SIGNATURE_HEADER, Settings, Webhooks, verify};
use limekiln_jobs::{EditId, FailureClass, TenantId};
use limekiln_store::Submission;
use limekiln_testbed::until;

use crate::endpoint::Endpoint;
use crate::home::{Home, NEVER, PATIENCE, settings, submission};

/// An edit that has ended well, with a webhook due.
async fn ended(home: &Home, tenant: TenantId, url: &str) -> EditId {
    let image = home.image(tenant).await;
    let webhook_url = Some(url.to_owned());
    let edit = home
        .submit(Submission {
            webhook_url,
            ..submission(tenant, image)
        })
        .await;
    let claimed = home.claim(edit).await;
    home.complete(&claimed).await;
    edit
}

async fn given_up(home: &Home) -> Vec<(EditId, String)> {
    let given_up = home.store.webhooks_given_up(100).await.unwrap();
    given_up
        .into_iter()
        .map(|(_, edit, _, error)| (edit, error))
        .collect()
}

#[tokio::test]
async fn a_delivery_is_signed_and_tried_again_until_it_is_taken() {
    let home = Home::new().await;
    let endpoint = Endpoint::start(&[500, 302, 200]).await;
    let tenant = home.tenant().await;
    let edit = ended(&home, tenant, &endpoint.url()).await;
    let coordinator = home.coordinator(settings());
    until("a delivery noted", PATIENCE, async || {
        home.number("select count(*) from webhooks where state = 'delivered'")
            .await
            == 1
    })
    .await;
    let received = endpoint.received();
    let secret = home
        .store
        .tenant_webhook_secret(tenant)
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
    let home = Home::new().await;
    let endpoint = Endpoint::start(&[204]).await;
    let tenant = home.tenant().await;
    let image = home.image(tenant).await;
    let edit = home
        .submit(Submission {
            webhook_url: Some(endpoint.url()),
            ..submission(tenant, image)
        })
        .await;
    let claimed = home.claim(edit).await;
    home.fail(edit, claimed.epoch, FailureClass::User).await;
    let coordinator = home.coordinator(settings());
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
    let home = Home::new().await;
    let endpoint = Endpoint::start(&[503]).await;
    let tenant = home.tenant().await;
    let edit = ended(&home, tenant, &endpoint.url()).await;
    let webhooks = Webhooks {
        attempts: 2,
        ..settings().webhooks
    };
    let coordinator = home.coordinator(Settings {
        webhooks,
        ..settings()
    });
    until("a delivery given up", PATIENCE, async || {
        !given_up(&home).await.is_empty()
    })
    .await;
    assert_eq!(
        given_up(&home).await,
        [(edit, "the endpoint answered 503".to_owned())]
    );
    assert_eq!(endpoint.received().len(), 2);
    coordinator.stop().await;
}

#[tokio::test]
async fn private_addresses_are_refused_at_once() {
    let home = Home::new().await;
    let endpoint = Endpoint::start(&[200]).await;
    let tenant = home.tenant().await;
    let direct = ended(&home, tenant, &endpoint.url()).await;
    let named = ended(
        &home,
        tenant,
        &endpoint.url().replace("127.0.0.1", "localhost"),
    )
    .await;
    let mapped = ended(
        &home,
        tenant,
        &endpoint.url().replace("127.0.0.1", "[::ffff:127.0.0.1]"),
    )
    .await;
    let webhooks = Webhooks {
        allow_private: false,
        ..settings().webhooks
    };
    let coordinator = home.coordinator(Settings {
        webhooks,
        ..settings()
    });
    until("three given up", PATIENCE, async || {
        given_up(&home).await.len() == 3
    })
    .await;
    let refused = given_up(&home).await;
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
    let home = Home::new().await;
    let (dead, alive) = (Endpoint::start(&[0]).await, Endpoint::start(&[200]).await);
    let (tenant, other) = (home.tenant().await, home.tenant().await);
    for _ in 0..30 {
        ended(&home, tenant, &dead.url()).await;
    }
    // The same tenant's and another's, behind all those.
    let edits = [
        ended(&home, tenant, &alive.url()).await,
        ended(&home, other, &alive.url()).await,
    ];
    let webhooks = Webhooks {
        concurrency: 8,
        per_endpoint: 2,
        timeout: NEVER / 60,
        ..settings().webhooks
    };
    let coordinator = home.coordinator(Settings {
        webhooks,
        ..settings()
    });
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
    let home = Home::new().await;
    let endpoint = Endpoint::start(&[200]).await;
    let tenant = home.tenant().await;
    ended(&home, tenant, &endpoint.url()).await;
    let claimed = home.store.webhooks_claim(10, NEVER).await.unwrap();
    assert_eq!(claimed.len(), 1);
    home.sql("update webhooks set due_at = now()").await;
    let coordinator = home.coordinator(settings());
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
        !home
            .store
            .webhook_done(claimed[0].id, claimed[0].attempt)
            .await
            .unwrap()
            .is_applied()
    );
}
