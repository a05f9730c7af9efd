//! Queued edits get to the broker: soon, in order, within the window, and again when a message gets lost.

use std::time::{Duration, Instant};

use limekiln_broker::{Broker, Settings as BrokerSettings};
use limekiln_coordinator::Settings;
use limekiln_jobs::{Class, EditId, StateName};
use limekiln_store::Submission;
use limekiln_testbed::{Proxy, RabbitMq, until};

use crate::home::{Home, NEVER, PATIENCE, database, model, offered, settings, submission, vhost};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_fleet_hears_of_an_edit_within_100_ms_of_its_submission() {
    let home = Home::new().await;
    let mut consumer = home.consumer(8).await;
    // Ticks that never come: only the wake can bring the edit.
    let settings = Settings {
        release_tick: NEVER,
        release_idle: NEVER,
        upkeep_every: NEVER,
        ..settings()
    };
    let coordinator = home.coordinator(Settings {
        min_window: 100,
        ..settings
    });
    let submitter = home.submitter();
    let tenant = home.tenant().await;
    let image = home.image(tenant).await;
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let submission = submission(tenant, image);
        let (id, start) = (submission.id, Instant::now());
        submitter.submit(submission).await.unwrap();
        let delivery = offered(&mut consumer).await;
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
    let home = Home::new().await;
    home.slots(50).await;
    let (greedy, modest) = (home.tenant().await, home.tenant().await);
    let (image, other) = (home.image(greedy).await, home.image(modest).await);
    let bulk = |submission| Submission {
        class: Class::Bulk,
        ..submission
    };
    let mut names: Vec<(EditId, String)> = Vec::new();
    for n in 0..5 {
        names.push((
            home.submit(bulk(submission(greedy, image))).await,
            format!("greedy bulk {n}"),
        ));
        names.push((
            home.submit(submission(greedy, image)).await,
            format!("greedy {n}"),
        ));
    }
    for n in 0..2 {
        names.push((
            home.submit(bulk(submission(modest, other))).await,
            format!("modest bulk {n}"),
        ));
        names.push((
            home.submit(submission(modest, other)).await,
            format!("modest {n}"),
        ));
    }
    let mut consumer = home.consumer(20).await;
    let coordinator = home.coordinator(settings());
    let (mut interactive, mut bulk) = (Vec::new(), Vec::new());
    for _ in 0..names.len() {
        let delivery = offered(&mut consumer).await;
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
async fn announced(home: &Home) -> u64 {
    home.store
        .queue_counts()
        .await
        .unwrap()
        .iter()
        .map(|count| count.announced)
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_coordinators_never_exceed_the_window() {
    let home = Home::new().await;
    home.slots(3).await;
    let tenant = home.tenant().await;
    let image = home.image(tenant).await;
    let submitter = home.submitter();
    for _ in 0..60 {
        submitter.submit(submission(tenant, image)).await.unwrap();
    }
    // A trigger of the test's own watches at every statement, so that nothing slips through between two looks.
    home.sql(
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
    let coordinators = [home.coordinator(settings()), home.coordinator(settings())];
    let mut consumer = home.consumer(3).await;
    let mut seen = std::collections::HashSet::new();
    until("a full window", PATIENCE, async || {
        announced(&home).await == 6
    })
    .await;
    while seen.len() < 60 {
        home.broker.wake();
        let delivery = offered(&mut consumer).await;
        let edit = delivery.hint.edit;
        if seen.insert(edit) {
            let claimed = home.claim(edit).await;
            home.complete(&claimed).await;
        }
        delivery.ack();
    }
    until("an empty queue", PATIENCE, async || {
        home.store.queue_counts().await.unwrap().is_empty()
    })
    .await;
    for coordinator in coordinators {
        coordinator.stop().await;
    }
}

#[tokio::test]
async fn without_workers_a_few_are_announced() {
    let home = Home::new().await;
    for _ in 0..6 {
        home.edit().await;
    }
    let coordinator = home.coordinator(settings());
    let mut consumer = home.consumer(8).await;
    for _ in 0..4 {
        offered(&mut consumer).await.ack();
    }
    assert_eq!(announced(&home).await, 4, "acked is not claimed");
    coordinator.stop().await;
}

#[tokio::test]
async fn a_paused_fleet_releases_nothing() {
    let home = Home::new().await;
    home.store.fleet_pause().await.unwrap();
    let (_, edit) = home.edit().await;
    let coordinator = home.coordinator(settings());
    // The coordinator's other duties run after its first look at the queue: a lease that ran out shows that it works.
    let (tenant, canary) = home.edit().await;
    home.claim(canary).await;
    home.sql(&format!(
        "update edits set lease_expires_at = now() - interval '1 s' where id = '{canary}'"
    ))
    .await;
    home.reaches(tenant, canary, StateName::Queued).await;
    assert_eq!(announced(&home).await, 0);
    home.store.fleet_resume().await.unwrap();
    let mut consumer = home.consumer(2).await;
    assert_eq!(offered(&mut consumer).await.hint.edit, edit);
    coordinator.stop().await;
}

#[tokio::test]
async fn a_purged_queue_loses_nothing() {
    let home = Home::new().await;
    let coordinator = home.coordinator(settings());
    let (_, edit) = home.edit().await;
    until("a full queue", PATIENCE, async || {
        home.broker
            .purge(&model())
            .await
            .is_ok_and(|purged| purged > 0)
    })
    .await;
    home.sql("update edits set next_announce_at = now() where announced_at is not null")
        .await;
    let mut consumer = home.consumer(1).await;
    let delivery = offered(&mut consumer).await;
    assert_eq!((delivery.hint.edit, delivery.hint.announcement), (edit, 2));
    coordinator.stop().await;
}

#[tokio::test]
async fn a_coordinator_that_dies_between_mark_and_publish_loses_nothing() {
    let home = Home::new().await;
    let (_, edit) = home.edit().await;
    // What it had done until then.
    assert_eq!(
        home.store.edits_release(None, 4, 10).await.unwrap().len(),
        1
    );
    let coordinator = home.coordinator(settings());
    home.sql("update edits set next_announce_at = now() where announced_at is not null")
        .await;
    let mut consumer = home.consumer(1).await;
    assert_eq!(offered(&mut consumer).await.hint.edit, edit);
    coordinator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_away_edits_stay_unannounced_and_then_go_out_for_the_first_time() {
    let url = database().await;
    let proxy = Proxy::start(RabbitMq::shared().port());
    let vhost_url = vhost().await;
    let mut broker_settings = BrokerSettings::new(proxy.before(&vhost_url));
    broker_settings.reconnect_timeout = Duration::from_millis(100);
    let broker = Broker::connect(&broker_settings).await.unwrap();
    let home = Home::of(&url, broker, vhost_url).await;
    proxy.refuse();
    proxy.cut();
    until("a lost connection", PATIENCE, async || {
        !home.broker.is_connected()
    })
    .await;
    // Counts marks that were taken back.
    home.sql(
        "create table taken_back (edit uuid);
         create function taken_back() returns trigger language plpgsql as $$
         begin insert into taken_back values (new.id); return new; end $$;
         create trigger taken_back before update on edits for each row
         when (old.announced_at is not null and new.announced_at is null and new.state = 'queued')
         execute function taken_back();",
    )
    .await;
    let (_, edit) = home.edit().await;
    let coordinator = home.coordinator(settings());
    until("marks taken back", PATIENCE, async || {
        home.number("select count(*) from taken_back").await >= 2
    })
    .await;
    proxy.resume();
    let direct = Broker::connect(&BrokerSettings::new(home.vhost_url.clone()))
        .await
        .unwrap();
    let mut consumer = direct.consume(&model(), 1).await.unwrap();
    let delivery = offered(&mut consumer).await;
    assert_eq!((delivery.hint.edit, delivery.hint.announcement), (edit, 1));
    coordinator.stop().await;
}
