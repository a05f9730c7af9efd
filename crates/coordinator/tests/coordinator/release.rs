//! Queued edits get to the broker: soon, in order, within the window, and again when a message gets lost.

use std::time::{Duration, Instant};

use limekiln_broker::{Broker, Settings as BrokerSettings};
use limekiln_coordinator::Settings;
use limekiln_fixture::{NEVER, PATIENCE, TestContext, next_delivery, png};
use limekiln_jobs::{Class, EditId, StateName, WorkerId};
use limekiln_store::Submission;
use limekiln_testbed::{Proxy, RabbitMq, until};

use crate::running::{Coordinator, settings, submitter};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_fleet_hears_of_an_edit_within_100_ms_of_its_submission() {
    let context = TestContext::with_rabbitmq().await;
    let mut consumer = context.consumer(8).await;
    // Ticks that never come: only the wake can bring the edit.
    let settings = Settings {
        release_tick: NEVER,
        release_idle: NEVER,
        upkeep_every: NEVER,
        ..settings()
    };
    let coordinator = Coordinator::start(
        &context,
        Settings {
            min_window: 100,
            ..settings
        },
    );
    let submitter = submitter(&context);
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let submission = context.submission();
        let (id, start) = (submission.id, Instant::now());
        submitter.submit(submission).await.unwrap();
        let delivery = next_delivery(&mut consumer).await;
        best = best.min(start.elapsed());
        assert_eq!(delivery.hint.edit, id);
        delivery.ack();
    }
    println!("best of 20, submit to offer: {best:?}");
    assert!(best < Duration::from_millis(100), "{best:?}");
    coordinator.stop().await;
}

#[tokio::test]
async fn classes_then_tenants_by_turns_then_age() {
    let context = TestContext::with_rabbitmq().await;
    context.worker_register(50).await;
    let (greedy, modest) = (context.tenant_create().await, context.tenant_create().await);
    let (image, other) = (
        context.image_create(greedy, png(2)).await,
        context.image_create(modest, png(2)).await,
    );
    let bulk = |submission| Submission {
        class: Class::Bulk,
        ..submission
    };
    let mut names: Vec<(EditId, String)> = Vec::new();
    for n in 0..5 {
        names.push((
            context
                .submit(bulk(context.submission_of(greedy, image)))
                .await,
            format!("greedy bulk {n}"),
        ));
        names.push((
            context.submit(context.submission_of(greedy, image)).await,
            format!("greedy {n}"),
        ));
    }
    for n in 0..2 {
        names.push((
            context
                .submit(bulk(context.submission_of(modest, other)))
                .await,
            format!("modest bulk {n}"),
        ));
        names.push((
            context.submit(context.submission_of(modest, other)).await,
            format!("modest {n}"),
        ));
    }
    let mut consumer = context.consumer(20).await;
    let coordinator = Coordinator::start(&context, settings());
    let (mut interactive, mut bulk) = (Vec::new(), Vec::new());
    for _ in 0..names.len() {
        let delivery = next_delivery(&mut consumer).await;
        let hint = &delivery.hint;
        let (_, name) = names.iter().find(|(id, _)| *id == hint.edit).unwrap();
        if hint.class == Class::Bulk {
            bulk.push(name.clone())
        } else {
            interactive.push(name.clone())
        }
        delivery.ack();
    }
    let turns = [
        "greedy 0", "modest 0", "greedy 1", "modest 1", "greedy 2", "greedy 3", "greedy 4",
    ];
    assert_eq!(interactive, turns);
    assert_eq!(bulk, turns.map(|name| name.replace(' ', " bulk ")));
    coordinator.stop().await;
}

/// Announced and unclaimed.
async fn announced(context: &TestContext) -> u64 {
    context
        .store
        .queue_counts()
        .await
        .unwrap()
        .iter()
        .map(|count| count.announced)
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_coordinators_never_exceed_the_window() {
    let context = TestContext::with_rabbitmq().await;
    context.worker_register(3).await;
    let submitter = submitter(&context);
    for _ in 0..60 {
        submitter.submit(context.submission()).await.unwrap();
    }
    // A trigger of the test's own watches at every statement, so that nothing slips through between two looks.
    context.sql(
        "create function window_check() returns trigger language plpgsql as $$
         begin
             if (select count(*) from edits where state = 'queued' and announced_at is not null) > 6 then
                 raise exception 'more than the window is announced';
             end if;
             return null;
         end $$;
         create trigger window_check after update on edits for each statement execute function window_check();",
    )
    .await;
    let coordinators = [
        Coordinator::start(&context, settings()),
        Coordinator::start(&context, settings()),
    ];
    let mut consumer = context.consumer(3).await;
    let mut seen = std::collections::HashSet::new();
    until("a full window", PATIENCE, async || {
        announced(&context).await == 6
    })
    .await;
    while seen.len() < 60 {
        context.broker.wake();
        let delivery = next_delivery(&mut consumer).await;
        let edit = delivery.hint.edit;
        if seen.insert(edit) {
            let claimed = context.claim(edit).await;
            context.complete(&claimed).await;
        }
        delivery.ack();
    }
    until("an empty queue", PATIENCE, async || {
        context.store.queue_counts().await.unwrap().is_empty()
    })
    .await;
    for coordinator in coordinators {
        coordinator.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_is_offered_to_the_worker_of_its_parent_before_it_is_announced_to_all() {
    let context = TestContext::with_rabbitmq().await;
    let other = TestContext {
        worker: WorkerId::new(),
        ..context.clone()
    };
    context.worker_register(4).await;
    other.worker_register(4).await;
    let parent = context.edit().await;
    context.complete(&context.claim(parent).await).await;
    let mut offers = context.broker.offers(context.worker).await;
    let mut consumer = context.consumer(8).await;
    let start = |offers_stand| {
        let settings = Settings {
            offers_stand,
            ..settings()
        };
        Coordinator::start(&context, settings)
    };
    let mut offered = async || {
        let offer = tokio::time::timeout(PATIENCE, offers.next()).await;
        offer.expect("an offer").expect("an open broker").edit
    };
    let coordinator = start(NEVER);
    let turns = [
        context.submit(context.turn(parent)).await,
        context.submit(context.turn(parent)).await,
    ];
    let mut came = [offered().await, offered().await];
    came.sort_unstable();
    assert_eq!(came, turns);
    // What was taken nobody else hears of; what was not, all do, at the latest when the coordinator ends.
    context.claim(turns[0]).await;
    coordinator.stop().await;
    let delivery = next_delivery(&mut consumer).await;
    assert_eq!(delivery.hint.edit, turns[1]);
    delivery.ack();
    let coordinator = start(Duration::from_millis(20));
    let passed = context.submit(context.turn(parent)).await;
    assert_eq!(offered().await, passed);
    let delivery = next_delivery(&mut consumer).await;
    assert_eq!(delivery.hint.edit, passed);
    delivery.ack();
    coordinator.stop().await;
}

#[tokio::test]
async fn without_workers_a_few_are_announced() {
    let context = TestContext::with_rabbitmq().await;
    for _ in 0..6 {
        context.edit().await;
    }
    let coordinator = Coordinator::start(&context, settings());
    let mut consumer = context.consumer(8).await;
    for _ in 0..4 {
        next_delivery(&mut consumer).await.ack();
    }
    assert_eq!(announced(&context).await, 4, "acked is not claimed");
    coordinator.stop().await;
}

#[tokio::test]
async fn a_paused_fleet_releases_nothing() {
    let context = TestContext::with_rabbitmq().await;
    context.store.fleet_pause().await.unwrap();
    let edit = context.edit().await;
    let coordinator = Coordinator::start(&context, settings());
    // The coordinator's other duties run after its first look at the queue: a lease that ran out shows that it works.
    let canary = context.edit().await;
    context.claim(canary).await;
    context.lease_expire(canary).await;
    context.reaches(canary, StateName::Queued).await;
    assert_eq!(announced(&context).await, 0);
    context.store.fleet_resume().await.unwrap();
    let mut consumer = context.consumer(2).await;
    assert_eq!(next_delivery(&mut consumer).await.hint.edit, edit);
    coordinator.stop().await;
}

#[tokio::test]
async fn a_purged_queue_loses_nothing() {
    let context = TestContext::with_rabbitmq().await;
    let coordinator = Coordinator::start(&context, settings());
    let edit = context.edit().await;
    until("a full queue", PATIENCE, async || {
        context
            .broker
            .purge(&TestContext::model())
            .await
            .is_ok_and(|purged| purged > 0)
    })
    .await;
    context
        .sql("update edits set next_announce_at = now() where announced_at is not null")
        .await;
    let mut consumer = context.consumer(1).await;
    let delivery = next_delivery(&mut consumer).await;
    assert_eq!((delivery.hint.edit, delivery.hint.announcement), (edit, 2));
    coordinator.stop().await;
}

#[tokio::test]
async fn what_the_queue_still_holds_is_not_announced_again() {
    let context = TestContext::with_rabbitmq().await;
    let coordinator = Coordinator::start(&context, settings());
    let edit = context.edit().await;
    until("a message", PATIENCE, async || {
        let model = TestContext::model();
        let waiting = context.broker.waiting(&model, Class::Interactive, None);
        waiting.await.unwrap() == 1
    })
    .await;
    context
        .sql("update edits set next_announce_at = now() where announced_at is not null")
        .await;
    until("a later time", PATIENCE, async || {
        let later = "select count(*) from edits where next_announce_at > now()";
        context.number(later).await == 1
    })
    .await;
    let mut consumer = context.consumer(1).await;
    let delivery = next_delivery(&mut consumer).await;
    assert_eq!((delivery.hint.edit, delivery.hint.announcement), (edit, 1));
    coordinator.stop().await;
}

#[tokio::test]
async fn a_coordinator_that_dies_between_mark_and_publish_loses_nothing() {
    let context = TestContext::with_rabbitmq().await;
    let edit = context.edit().await;
    // What it had done until then.
    assert_eq!(
        context
            .store
            .edits_release(None, 4, 10)
            .await
            .unwrap()
            .len(),
        1
    );
    let coordinator = Coordinator::start(&context, settings());
    context
        .sql("update edits set next_announce_at = now() where announced_at is not null")
        .await;
    let mut consumer = context.consumer(1).await;
    assert_eq!(next_delivery(&mut consumer).await.hint.edit, edit);
    coordinator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_away_edits_stay_unannounced_and_then_go_out_for_the_first_time() {
    let proxy = Proxy::start(RabbitMq::shared().port());
    let vhost_url = RabbitMq::shared().vhost().await;
    let mut broker_settings = BrokerSettings::new(proxy.before(&vhost_url));
    broker_settings.reconnect_timeout = Duration::from_millis(100);
    let broker = Broker::connect(&broker_settings).await.unwrap();
    let context = TestContext::with_broker(broker).await;
    proxy.refuse();
    proxy.cut();
    until("a lost connection", PATIENCE, async || {
        !context.broker.is_connected()
    })
    .await;
    // Counts marks that were taken back.
    context
        .sql(
            "create table taken_back (edit uuid);
         grant insert on taken_back to public;
         create function taken_back() returns trigger language plpgsql as $$
         begin insert into taken_back values (new.id); return new; end $$;
         create trigger taken_back before update on edits for each row
         when (old.announced_at is not null and new.announced_at is null and new.state = 'queued')
         execute function taken_back();",
        )
        .await;
    let edit = context.edit().await;
    let coordinator = Coordinator::start(&context, settings());
    until("marks taken back", PATIENCE, async || {
        context.number("select count(*) from taken_back").await >= 2
    })
    .await;
    proxy.resume();
    let direct = Broker::connect(&BrokerSettings::new(vhost_url))
        .await
        .unwrap();
    let mut consumer = direct
        .consume(&[TestContext::model()], None, 1)
        .await
        .unwrap();
    let delivery = next_delivery(&mut consumer).await;
    assert_eq!((delivery.hint.edit, delivery.hint.announcement), (edit, 1));
    coordinator.stop().await;
}
