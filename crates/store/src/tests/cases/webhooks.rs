use std::time::Duration;

use limekiln_jobs::{EditId, EditView, StateName, TenantId};

use crate::tests::context::*;
use crate::*;

const LONG: Duration = Duration::from_secs(60);

/// An edit that has ended, and its delivery is due.
async fn ended(context: &TestContext, url: &str) -> EditId {
    let edit = context
        .submit(Submission {
            webhook_url: Some(url.to_owned()),
            ..context.submission()
        })
        .await;
    let claimed = context.claim(edit).await;
    assert!(context.complete(edit, claimed.epoch).await.is_applied());
    edit
}

fn view_of(delivery: &Delivery) -> &EditView {
    match &delivery.told {
        Told::Edit(view) => view,
        Told::Catalog(_) => panic!("it tells of a catalog"),
    }
}

fn edit_of(delivery: &Delivery) -> EditId {
    view_of(delivery).id
}

/// Claims all that is due of the tenant.
async fn claim(context: &TestContext, ttl: Duration) -> Vec<Delivery> {
    let mut due = context.store.webhooks_due(None, 1000, 1000).await.unwrap();
    due.retain(|(endpoint, due)| endpoint.tenant == context.tenant && *due > 0);
    let mut claimed = context.store.webhooks_claim(&due, ttl).await.unwrap();
    claimed.sort_by_key(edit_of);
    claimed
}

pub(in crate::tests) async fn deliveries_are_jobs(store: &Store) {
    let context = TestContext::new(store).await;
    let mut edits = Vec::new();
    for _ in 0..3 {
        edits.push(ended(&context, "https://example.com/hook").await);
    }
    let secret = store.webhook_secrets(context.tenant).await.unwrap();
    let secrets = [secret.unwrap().secret];
    let first = claim(&context, Duration::ZERO).await;
    let claimed: Vec<_> = first.iter().map(edit_of).collect();
    assert_eq!(claimed, edits);
    assert_eq!(first[0].event, "edit.succeeded");
    assert_eq!(view_of(&first[0]).state, StateName::Succeeded);
    assert!(first[0].secrets == secrets && first[0].age < LONG);
    // Nobody sent them within the claim, as when a coordinator dies: that was no attempt, however often it happens.
    let again = claim(&context, LONG).await;
    assert_eq!(again.len(), 3);
    assert!(
        first
            .iter()
            .chain(&again)
            .all(|delivery| delivery.attempt == 1)
    );
    assert!(claim(&context, Duration::ZERO).await.is_empty());

    // Only who claimed last says what became of it.
    let [done, retried, refused] = &again[..] else {
        panic!("{again:?}")
    };
    assert_eq!(store.webhook_done(&first[0]).await.unwrap(), Write::Stale);
    assert_eq!(
        store.webhook_done(done).await.unwrap(),
        Write::Applied { seq: 1 }
    );
    assert_eq!(store.webhook_done(done).await.unwrap(), Write::Stale);
    let retry = store.webhook_retry(retried, Duration::ZERO, "status 500\0");
    assert!(retry.await.unwrap().is_applied());
    let give_up = store.webhook_give_up(refused, false, "refused");
    assert!(give_up.await.unwrap().is_applied());
    let third = claim(&context, LONG).await;
    let third: Vec<_> = third.iter().map(|one| (one.id, one.attempt)).collect();
    assert_eq!(third, [(retried.id, 2)]);
    let given_up = store.webhooks_given_up(1000).await.unwrap();
    assert!(
        given_up
            .iter()
            .any(|(id, edit, _, error)| (*id, *edit, error.as_str())
                == (refused.id, edits[2], "refused"))
    );
    let unsent = sqlx::query_scalar("select attempts from webhooks where id = $1");
    let unsent: i32 = store
        .value("test", unsent.bind(refused.id.uuid()))
        .await
        .unwrap();
    assert_eq!(unsent, 0);

    let hour = Duration::from_secs(3600);
    assert_eq!(store.webhooks_prune(hour, 1000).await.unwrap(), 0);
    assert!(store.webhooks_prune(Duration::ZERO, 1000).await.unwrap() >= 2);
    assert_eq!(store.webhook_done(done).await.unwrap(), Write::Missing);
}

pub(in crate::tests) async fn endpoints_have_lines_of_their_own(store: &Store) {
    let context = TestContext::new(store).await;
    let other = TestContext::new(store).await;
    // One origin in two spellings that the URL standard leaves apart, and its neighbours.
    let origins = ["http://a.com", "http://a.com:81", "https://a.com"];
    let mut firsts = Vec::new();
    for url in [
        "https://a.com",
        "https://a.com/x",
        "https://a.com?y",
        "http://a.com:81/",
        "http://a.com#z",
    ] {
        firsts.push(ended(&context, url).await);
    }
    ended(&other, "https://a.com/").await;

    // Page by page, the same as at once.
    let mut due = Vec::new();
    let mut after = None;
    loop {
        let page = store.webhooks_due(after.as_ref(), 2, 2).await.unwrap();
        let more = page.len() == 2;
        due.extend(page);
        if !more {
            break;
        }
        after = due.last().map(|(endpoint, _)| endpoint.clone());
    }
    assert_eq!(due, store.webhooks_due(None, 1000, 2).await.unwrap());
    let of = |tenant: TenantId| {
        due.iter()
            .filter(move |(endpoint, _)| endpoint.tenant == tenant)
            .map(|(endpoint, due)| (endpoint.origin.as_str(), *due))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of(context.tenant),
        [(origins[0], 1), (origins[1], 1), (origins[2], 2)],
        "no more are counted than asked for"
    );
    assert_eq!(of(other.tenant), [("https://a.com", 1)]);

    // Of one line, those that are due for longest, and nothing of the others.
    let line = WebhookEndpoint {
        tenant: context.tenant,
        origin: origins[2].to_owned(),
    };
    let mut claimed = Vec::new();
    for _ in 0..2 {
        let room = [(line.clone(), 2)];
        claimed.push(store.webhooks_claim(&room, LONG).await.unwrap());
    }
    let edits = |deliveries: &[Delivery]| {
        let mut edits: Vec<_> = deliveries.iter().map(edit_of).collect();
        edits.sort_unstable();
        edits
    };
    assert_eq!(edits(&claimed[0]), firsts[..2]);
    assert_eq!(edits(&claimed[1]), firsts[2..3]);
    assert!(claimed.iter().flatten().all(|one| one.endpoint == line));
    let left = store.webhooks_due(None, 1000, 2).await.unwrap();
    assert!(left.contains(&(line, 0)), "pending, and not due");
    assert!(store.webhooks_overdue_s().await.unwrap() > 0.0);
}

pub(in crate::tests) async fn a_secret_is_replaced_in_two_steps(store: &Store) {
    let context = TestContext::new(store).await;
    let now = async || {
        let secrets = store.webhook_secrets(context.tenant).await.unwrap();
        secrets.unwrap()
    };
    let rotate = async |overlap| {
        let rotated = store.webhook_secret_rotate(context.tenant, overlap).await;
        rotated.unwrap().unwrap()
    };
    let first = now().await;
    let text = first.secret.expose();
    assert!(text.starts_with("whsec_") && text.len() == 50 && text.ends_with('='));
    assert_eq!(first.former, None);

    let Rotated::Done(second) = rotate(LONG).await else {
        panic!("not rotated")
    };
    assert_ne!(second.secret, first.secret);
    assert_eq!(second.former.as_ref().unwrap().0, first.secret);
    assert_eq!(now().await, second);
    // A request whose answer got lost comes again: what receivers check with goes on signing.
    assert_eq!(rotate(LONG).await, Rotated::Early(second.clone()));
    ended(&context, "https://example.com/").await;
    let both = [second.secret.clone(), first.secret];
    assert_eq!(claim(&context, Duration::ZERO).await[0].secrets, both);

    // The overlap ends by the database's clock, whether or not anybody has forgotten the secret yet.
    let over = "update tenants set webhook_secret_former_until = now() where id = $1";
    let over = sqlx::query(over).bind(context.tenant.uuid());
    assert_eq!(store.count("test", over).await.unwrap(), 1);
    assert_eq!(now().await.former, None);
    let alone = [second.secret.clone()];
    assert_eq!(claim(&context, Duration::ZERO).await[0].secrets, alone);
    assert!(store.webhook_secrets_prune().await.unwrap() >= 1);
    assert_eq!(store.webhook_secrets_prune().await.unwrap(), 0);

    // One that became known ends at once, and so does the one before it.
    assert!(matches!(rotate(LONG).await, Rotated::Done(_)));
    let Rotated::Done(fresh) = rotate(Duration::ZERO).await else {
        panic!("not rotated")
    };
    assert!(fresh.former.is_none() && fresh.secret != second.secret);
    assert_eq!(now().await, fresh);
    let nobody = store.webhook_secret_rotate(TenantId::new(), LONG);
    assert_eq!(nobody.await.unwrap(), None);
}

pub(in crate::tests) async fn a_delivery_shows_the_edit_as_it_ended(store: &Store) {
    let context = TestContext::new(store).await;
    let edit = context
        .submit(Submission {
            webhook_url: Some("https://example.com/hook".to_owned()),
            ..context.submission()
        })
        .await;
    let epoch = context.claim(edit).await.epoch;
    let class = limekiln_jobs::FailureClass::User;
    assert!(context.fail(edit, epoch, class).await.is_applied());
    let ended = store.edit_get(context.tenant, edit).await.unwrap().unwrap();
    // An operator has it tried again before anybody is told.
    store.edit_retry(edit).await.unwrap();
    let claimed = context.claim(edit).await;
    let told = claim(&context, LONG).await.remove(0);
    assert_eq!(told.event, "edit.failed");
    assert_eq!(*view_of(&told), ended);
    assert!(context.complete(edit, claimed.epoch).await.is_applied());
    let told = claim(&context, LONG).await.remove(0);
    assert_eq!(view_of(&told).state, StateName::Succeeded);
    assert_eq!(view_of(&told).artifacts.len(), 1);
}
