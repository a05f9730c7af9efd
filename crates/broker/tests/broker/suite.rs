//! What both backends promise. Each test has two handles, `here` and `there`: on RabbitMQ they stand for two processes, in
//! process they are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures_util::FutureExt;
use limekiln_broker::{Broker, Error, Run, Stop, Update};
use limekiln_jobs::{Class, EditId, Epoch, WorkerId};
use limekiln_testbed::until;

use crate::kit::*;

/// Makes a test of each promise, on the handles that `$pair` makes.
macro_rules! tests {
    ($pair:ident) => {
        crate::suite::tests!(
            $pair:
            edits_arrive_as_announced
            acked_edits_are_gone
            the_class_is_chosen_when_a_slot_is_free
            a_busy_consumer_leaves_messages_to_idle_ones
            floods_of_both_classes_lose_nothing
            models_without_edits_hold_no_slots
            cohorts_are_apart
            no_more_than_slots_at_once
            requeued_and_dropped_edits_come_again
            rejected_edits_become_dead_letters
            edits_returned_too_often_become_dead_letters
            pause_gives_back_and_resume_takes_again
            a_dropped_consumer_gives_back
            deliveries_outlive_their_consumer
            models_are_apart
            consumers_share
            purge_empties
            deleted_models_come_again
            wakes_are_few_and_not_lost
            stops_reach_all
            offers_reach_their_worker_alone
            subscribers_receive_theirs_in_order
            slow_subscribers_are_told
            a_thousand_subscriptions
            subscribing_again_works
            close_ends_everything
            check_finds_nothing_wrong
        );
    };
    ($pair:ident: $($name:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (here, there) = $pair().await;
            crate::suite::$name(here, there).await;
        }
    )*};
}
pub(crate) use tests;

pub(crate) async fn edits_arrive_as_announced(here: Broker, there: Broker) {
    let mut untraced = hint("rooms", Class::Bulk);
    untraced.trace = None;
    untraced.announcement = 7;
    let announced = vec![hint("rooms", Class::Interactive), untraced];
    // Nobody consumes yet, so they wait.
    announce(&here, &announced).await;
    assert_eq!(ready(&there, "rooms", Class::Interactive).await, 1);
    assert_eq!(ready(&there, "rooms", Class::Bulk).await, 1);
    let mut consumer = there.consume(&[model("rooms")], None, 3).await.unwrap();
    let mut came = BTreeMap::new();
    for _ in 0..2 {
        let delivery = next(&mut consumer).await;
        assert!(!delivery.redelivered);
        came.insert(delivery.hint.edit, delivery.hint.clone());
        delivery.ack();
    }
    for hint in &announced {
        assert_eq!(came.get(&hint.edit), Some(hint));
    }
    assert!(here.announce(&[]).await.is_empty());
}

pub(crate) async fn acked_edits_are_gone(here: Broker, there: Broker) {
    let mut consumer = there.consume(&[model("rooms")], None, 1).await.unwrap();
    announce(&here, &[hint("rooms", Class::Interactive)]).await;
    next(&mut consumer).await.ack();
    consumer.flush().await;
    drop(consumer);
    // If the first were still there, it would come before this one.
    let other = hint("rooms", Class::Interactive);
    announce(&here, std::slice::from_ref(&other)).await;
    let mut consumer = here.consume(&[model("rooms")], None, 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.hint.edit, other.edit);
    delivery.ack();
    consumer.flush().await;
    until("an empty queue", SOON, async || {
        ready(&here, "rooms", Class::Interactive).await == 0
    })
    .await;
    assert_eq!(dead(&here).await, 0);
}

pub(crate) async fn the_class_is_chosen_when_a_slot_is_free(here: Broker, there: Broker) {
    let mut consumer = there.consume(&[model("rooms")], None, 1).await.unwrap();
    // A queue that has just been made may not be read yet: both are, before they are compared.
    for class in [Class::Interactive, Class::Bulk] {
        announce(&here, &hints("rooms", class, 1)).await;
        next(&mut consumer).await.ack();
    }
    let bulk = hints("rooms", Class::Bulk, 3);
    announce(&here, &bulk).await;
    let running = next(&mut consumer).await;
    assert_eq!(running.hint.edit, bulk[0].edit);
    // Both wait in the broker, for whoever is free first.
    let interactive = hints("rooms", Class::Interactive, 2);
    announce(&here, &interactive).await;
    until("both queues to be left alone", SOON, async || {
        let (first, last) = (Class::Interactive, Class::Bulk);
        (
            ready(&here, "rooms", first).await,
            ready(&here, "rooms", last).await,
        ) == (2, 2)
    })
    .await;
    assert_eq!(consumer.ready(), 0);
    running.ack();
    for expected in interactive.iter().chain(&bulk[1..]) {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.hint.edit, expected.edit);
        delivery.ack();
    }
}

/// A worker that is busy takes nothing away from one that is idle, whatever the classes and the models.
pub(crate) async fn a_busy_consumer_leaves_messages_to_idle_ones(here: Broker, there: Broker) {
    let models = [model("rooms"), model("others")];
    let mut busy = there.consume(&models, None, 1).await.unwrap();
    announce(&here, &hints("rooms", Class::Bulk, 1)).await;
    let running = next(&mut busy).await;
    let mut idle = here.consume(&models, None, 1).await.unwrap();
    for (name, class) in [
        ("rooms", Class::Interactive),
        ("rooms", Class::Bulk),
        ("others", Class::Interactive),
        ("others", Class::Bulk),
    ] {
        let announced = hints(name, class, 3);
        announce(&here, &announced).await;
        for _ in &announced {
            next(&mut idle).await.ack();
        }
    }
    assert_eq!(busy.ready(), 0);
    running.ack();
}

pub(crate) async fn no_more_than_slots_at_once(here: Broker, there: Broker) {
    let mut consumer = there
        .consume(&[model("rooms"), model("others")], None, 3)
        .await
        .unwrap();
    announce(&here, &hints("rooms", Class::Interactive, 5)).await;
    announce(&here, &hints("others", Class::Bulk, 5)).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut consumer).await);
    }
    let left = async || {
        ready(&here, "rooms", Class::Interactive).await + ready(&here, "others", Class::Bulk).await
    };
    until("seven left", SOON, async || left().await == 7).await;
    assert!(consumer.next().now_or_never().is_none());
    // Once one is settled, or gives up its slot, one more is delivered.
    held.remove(0).ack();
    held.push(next(&mut consumer).await);
    let slot = held[0].take_slot();
    assert!(consumer.next().now_or_never().is_none());
    drop(slot);
    held.push(next(&mut consumer).await);
    until("five left", SOON, async || left().await == 5).await;
    assert!(consumer.next().now_or_never().is_none());
    assert_eq!(held.len(), 4);
}

/// Two consumers and a flood of both classes: none comes back so often that it is lost to the dead letters.
pub(crate) async fn floods_of_both_classes_lose_nothing(here: Broker, there: Broker) {
    let models = [model("rooms"), model("others")];
    let announced: Vec<_> = ["rooms", "others"]
        .into_iter()
        .flat_map(|name| hints_of_all_classes(name, 60))
        .collect();
    let mut expected = edits(&announced);
    announce(&here, &announced).await;
    let mut consumers = [
        there.consume(&models, None, 1).await.unwrap(),
        here.consume(&models, None, 5).await.unwrap(),
    ];
    let [one, five] = &mut consumers;
    while !expected.is_empty() {
        let delivery = tokio::select! {
            delivery = next(one) => delivery,
            delivery = next(five) => delivery,
        };
        assert!(expected.remove(&delivery.hint.edit), "came twice");
        delivery.ack();
    }
    assert_eq!(dead(&here).await, 0);
}

pub(crate) async fn cohorts_are_apart(here: Broker, there: Broker) {
    let all = [model("rooms")];
    let mut old = there.consume(&all, Some("a1"), 4).await.unwrap();
    let mut new = there.consume(&all, Some("b2"), 4).await.unwrap();
    let mut announced = hints("rooms", Class::Interactive, 3);
    for hint in &mut announced {
        hint.cohort = Some("b2".to_owned());
    }
    announce(&here, &announced).await;
    for _ in 0..3 {
        let delivery = next(&mut new).await;
        assert_eq!(delivery.hint.cohort.as_deref(), Some("b2"));
        delivery.ack();
    }
    let plain = hint("rooms", Class::Interactive);
    announce(&here, std::slice::from_ref(&plain)).await;
    let delivery = tokio::select! {
        delivery = next(&mut old) => delivery,
        delivery = next(&mut new) => delivery,
    };
    assert_eq!(delivery.hint.edit, plain.edit);
    delivery.ack();
    announced[0].cohort = Some("of-nobody".to_owned());
    announce(&here, &announced[..1]).await;
    let waiting = there.waiting(&all[0], Class::Interactive, Some("of-nobody"));
    assert_eq!(waiting.await.unwrap(), 1);
    assert_eq!(ready(&here, "rooms", Class::Interactive).await, 0);
}

pub(crate) async fn requeued_and_dropped_edits_come_again(here: Broker, there: Broker) {
    let announced = hint("rooms", Class::Interactive);
    announce(&here, std::slice::from_ref(&announced)).await;
    let mut consumer = there.consume(&[model("rooms")], None, 1).await.unwrap();
    next(&mut consumer).await.requeue();
    let again = next(&mut consumer).await;
    assert_eq!(again.hint, announced);
    assert!(again.redelivered);
    drop(again);
    let again = next(&mut consumer).await;
    assert_eq!(again.hint.edit, announced.edit);
    assert!(again.redelivered);
    again.ack();
}

pub(crate) async fn rejected_edits_become_dead_letters(here: Broker, there: Broker) {
    announce(&here, &hints("rooms", Class::Interactive, 2)).await;
    let mut consumer = there.consume(&[model("rooms")], None, 1).await.unwrap();
    next(&mut consumer).await.reject();
    next(&mut consumer).await.ack();
    until("a dead letter", SOON, async || dead(&here).await == 1).await;
    assert_eq!(ready(&here, "rooms", Class::Interactive).await, 0);
}

pub(crate) async fn edits_returned_too_often_become_dead_letters(here: Broker, there: Broker) {
    announce(&here, &[hint("rooms", Class::Bulk)]).await;
    let mut consumer = there.consume(&[model("rooms")], None, 1).await.unwrap();
    let mut deliveries = 0;
    loop {
        tokio::select! {
            delivery = next(&mut consumer) => {
                deliveries += 1;
                delivery.requeue();
            }
            () = until("a dead letter", SOON, async || dead(&here).await == 1) => break,
        }
    }
    assert!(
        (20..=22).contains(&deliveries),
        "delivered {deliveries} times"
    );
}

pub(crate) async fn pause_gives_back_and_resume_takes_again(here: Broker, there: Broker) {
    let mut paused = there.consume(&[model("rooms")], None, 9).await.unwrap();
    let announced = hints("rooms", Class::Interactive, 5);
    announce(&here, &announced).await;
    until("five edits", SOON, async || paused.ready() == 5).await;
    let started = next(&mut paused).await;
    paused.pause().await;
    assert_eq!(paused.ready(), 0);
    assert!(paused.next().now_or_never().is_none());
    let mut other = here.consume(&[model("rooms")], None, 9).await.unwrap();
    let mut came = BTreeSet::from([started.hint.edit]);
    for _ in 0..4 {
        let delivery = next(&mut other).await;
        came.insert(delivery.hint.edit);
        delivery.ack();
    }
    assert_eq!(came, edits(&announced));
    // A delivery handed out before the pause can still be settled.
    started.ack();
    paused.flush().await;
    other.flush().await;
    drop(other);
    until("no other consumer", SOON, async || {
        let depths = here.depth(&model("rooms")).await.unwrap();
        depths
            .iter()
            .all(|depth| depth.ready == 0 && depth.consumers <= 1)
    })
    .await;
    paused.resume();
    let late = hint("rooms", Class::Bulk);
    announce(&here, std::slice::from_ref(&late)).await;
    let delivery = next(&mut paused).await;
    assert_eq!(delivery.hint.edit, late.edit);
    delivery.ack();
}

pub(crate) async fn a_dropped_consumer_gives_back(here: Broker, there: Broker) {
    let consumer = there.consume(&[model("rooms")], None, 9).await.unwrap();
    let announced = hints("rooms", Class::Interactive, 5);
    announce(&here, &announced).await;
    until("five edits", SOON, async || consumer.ready() == 5).await;
    drop(consumer);
    let mut other = here.consume(&[model("rooms")], None, 9).await.unwrap();
    take_all(&mut other, &edits(&announced)).await;
}

pub(crate) async fn deliveries_outlive_their_consumer(here: Broker, there: Broker) {
    let mut consumer = there.consume(&[model("rooms")], None, 2).await.unwrap();
    announce(&here, &hints("rooms", Class::Interactive, 2)).await;
    let (acked, dropped) = (next(&mut consumer).await, next(&mut consumer).await);
    let again = dropped.hint.edit;
    drop(consumer);
    acked.ack();
    drop(dropped);
    let mut other = here.consume(&[model("rooms")], None, 1).await.unwrap();
    let delivery = next(&mut other).await;
    assert_eq!(delivery.hint.edit, again);
    delivery.ack();
    other.flush().await;
    until("an empty queue", SOON, async || {
        ready(&here, "rooms", Class::Interactive).await == 0
    })
    .await;
    assert_eq!(other.ready(), 0);
}

/// All slots are for whatever model has edits, and bursts on several at once lose nothing.
pub(crate) async fn models_without_edits_hold_no_slots(here: Broker, there: Broker) {
    let names: Vec<_> = (0..8).map(|n| format!("rooms-{n}")).collect();
    let models: Vec<_> = names.iter().map(|name| model(name)).collect();
    let mut consumer = there.consume(&models, None, 4).await.unwrap();
    announce(&here, &hints("rooms-7", Class::Bulk, 6)).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(next(&mut consumer).await);
    }
    held.into_iter().for_each(limekiln_broker::Delivery::ack);
    for _ in 0..2 {
        next(&mut consumer).await.ack();
    }
    for _ in 0..3 {
        let burst: Vec<_> = names.iter().map(|name| hint(name, Class::Bulk)).collect();
        announce_and_take(&here, &mut consumer, &burst).await;
    }
    assert_eq!(dead(&here).await, 0);
}

pub(crate) async fn models_are_apart(here: Broker, there: Broker) {
    let mut rooms = there.consume(&[model("rooms")], None, 4).await.unwrap();
    let mut others = there
        .consume(&[model("rooms.v2_x-1")], None, 4)
        .await
        .unwrap();
    let (a, b) = (
        hint("rooms", Class::Bulk),
        hint("rooms.v2_x-1", Class::Bulk),
    );
    announce(&here, &[a.clone(), b.clone()]).await;
    assert_eq!(next(&mut rooms).await.hint.edit, a.edit);
    assert_eq!(next(&mut others).await.hint.edit, b.edit);
}

pub(crate) async fn consumers_share(here: Broker, there: Broker) {
    let announced = hints("rooms", Class::Bulk, 200);
    let expected = edits(&announced);
    let (sender, mut came) = tokio::sync::mpsc::channel(200);
    let mut tasks = tokio::task::JoinSet::new();
    for broker in [&here, &there, &there] {
        let mut consumer = broker.consume(&[model("rooms")], None, 3).await.unwrap();
        let sender = sender.clone();
        tasks.spawn(async move {
            while let Some(delivery) = consumer.next().await {
                sender.send(delivery.hint.edit).await.unwrap();
                delivery.ack();
            }
        });
    }
    announce(&here, &announced).await;
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let edit = soon(came.recv()).await;
        assert!(seen.insert(edit), "{edit} came twice");
    }
    assert_eq!(seen, expected);
}

pub(crate) async fn purge_empties(here: Broker, there: Broker) {
    assert_eq!(there.purge(&model("rooms")).await.unwrap(), 0);
    announce(&here, &hints("rooms", Class::Bulk, 7)).await;
    announce(&here, &hints("rooms", Class::Interactive, 3)).await;
    assert_eq!(there.purge(&model("rooms")).await.unwrap(), 10);
    assert_eq!(ready(&here, "rooms", Class::Bulk).await, 0);
    assert_eq!(ready(&here, "rooms", Class::Interactive).await, 0);
}

pub(crate) async fn deleted_models_come_again(here: Broker, there: Broker) {
    there.model_delete(&model("rooms")).await.unwrap();
    announce(&here, &hints("rooms", Class::Bulk, 7)).await;
    there.model_delete(&model("rooms")).await.unwrap();
    assert_eq!(ready(&here, "rooms", Class::Bulk).await, 0);
    let again = hints("rooms", Class::Bulk, 2);
    announce(&here, &again).await;
    let mut consumer = there.consume(&[model("rooms")], None, 1).await.unwrap();
    take_all(&mut consumer, &edits(&again)).await;
}

pub(crate) async fn wakes_are_few_and_not_lost(here: Broker, there: Broker) {
    let mut wakes = there.wakes().await;
    let mut others = here.wakes().await;
    here.wake();
    for wakes in [&mut wakes, &mut others] {
        soon(wakes.next()).await;
    }
    // A thousand wakes become a few, and the last is not lost: the stop that is sent after it arrives after it.
    let mut stops = there.stops().await;
    for _ in 0..1000 {
        here.wake();
    }
    let mut few = 1;
    soon(wakes.next()).await;
    here.stop(EditId::new(), Epoch::new(1));
    loop {
        tokio::select! {
            biased;
            woken = wakes.next() => {
                woken.unwrap();
                few += 1;
            }
            _ = tokio::time::timeout(SOON, stops.next()) => break,
        }
    }
    assert!(few < 100, "{few} wakes");
}

pub(crate) async fn stops_reach_all(here: Broker, there: Broker) {
    let mut all = [here.stops().await, there.stops().await, there.stops().await];
    let stops: Vec<_> = (1..=50)
        .map(|epoch| {
            let run = Run {
                edit: EditId::new(),
                epoch: Epoch::new(epoch),
            };
            match epoch % 2 {
                0 => Stop::End(run),
                _ => Stop::Aside { step_aside: run },
            }
        })
        .collect();
    for stop in &stops {
        match *stop {
            Stop::End(run) => here.stop(run.edit, run.epoch),
            Stop::Aside { step_aside: run } => here.step_aside(run.edit, run.epoch),
        }
    }
    for listener in &mut all {
        for stop in &stops {
            assert_eq!(soon(listener.next()).await, *stop);
        }
    }
}

pub(crate) async fn offers_reach_their_worker_alone(here: Broker, there: Broker) {
    let (mine, other) = (WorkerId::new(), WorkerId::new());
    let mut offers = there.offers(mine).await;
    let mut consumer = there.consume(&[model("rooms")], None, 1).await.unwrap();
    let offered = hints("rooms", Class::Interactive, 3);
    here.offer(other, &offered[0]);
    here.offer(mine, &offered[1]);
    let came = soon(offers.next()).await;
    assert_eq!(came.edit, offered[1].edit);
    // It takes the only slot, before it is handed out and after.
    assert!(consumer.offer(came));
    assert!(!consumer.offer(offered[2].clone()));
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.hint.edit, offered[1].edit);
    assert!(!consumer.offer(offered[2].clone()));
    // No queue hears of what becomes of it.
    delivery.requeue();
    let announced = hint("rooms", Class::Interactive);
    announce(&here, std::slice::from_ref(&announced)).await;
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.hint.edit, announced.edit);
    delivery.ack();
    consumer.pause().await;
    assert!(!consumer.offer(offered[2].clone()));
    there.close().await;
    assert!(offers.next().await.is_none());
}

pub(crate) async fn subscribers_receive_theirs_in_order(here: Broker, there: Broker) {
    let (edit, other) = (EditId::new(), EditId::new());
    let mut first = there.subscribe(edit).await;
    let mut second = there.subscribe(edit).await;
    let mut elsewhere = here.subscribe(edit).await;
    let mut apart = there.subscribe(other).await;
    assert_eq!(first.followed(), edit.into());
    for at in 0..30 {
        here.publish_live(&preview(EditId::new(), 1000));
        here.publish_live(&preview(edit, at));
    }
    here.publish_live(&preview(other, 99));
    for subscription in [&mut first, &mut second, &mut elsewhere] {
        for at in 0..30 {
            let Update::Live(live) = receive(subscription).await else {
                panic!("missed something");
            };
            assert_eq!(*live, preview(edit, at));
        }
    }
    assert_eq!(step(&receive_live(&mut apart).await), 99);
}

pub(crate) async fn slow_subscribers_are_told(here: Broker, there: Broker) {
    let edit = EditId::new();
    let mut slow = there.subscribe(edit).await;
    let mut quick = there.subscribe(edit).await;
    for at in 0..500 {
        here.publish_live(&preview(edit, at));
        assert_eq!(step(&receive_live(&mut quick).await), at);
    }
    assert!(matches!(receive(&mut slow).await, Update::Lagged));
    let mut last = step(&receive_live(&mut slow).await);
    assert!(last > 0);
    while last < 499 {
        let now = step(&receive_live(&mut slow).await);
        assert_eq!(now, last + 1);
        last = now;
    }
}

pub(crate) async fn a_thousand_subscriptions(here: Broker, there: Broker) {
    let edits: Vec<_> = (0..1000).map(|_| EditId::new()).collect();
    let start = Instant::now();
    let watching = edits.iter().map(|&edit| there.subscribe(edit));
    let mut subscriptions = futures_util::future::join_all(watching).await;
    let bound = start.elapsed();
    for (at, &edit) in (0..).zip(&edits) {
        here.publish_live(&preview(edit, at));
    }
    for (at, subscription) in (0..).zip(&mut subscriptions) {
        let Update::Live(live) = receive(subscription).await else {
            panic!("missed something");
        };
        assert_eq!(step(&live), at);
    }
    println!(
        "1,000 edits watched in {bound:?}, one message to each after {:?}",
        start.elapsed() - bound
    );
}

pub(crate) async fn subscribing_again_works(here: Broker, there: Broker) {
    let edit = EditId::new();
    for at in 0..50 {
        let mut subscription = there.subscribe(edit).await;
        here.publish_live(&preview(edit, at));
        // Messages of earlier rounds were read, or their subscriptions are gone.
        assert_eq!(step(&receive_live(&mut subscription).await), at);
    }
}

pub(crate) async fn close_ends_everything(here: Broker, there: Broker) {
    let mut consumer = there.consume(&[model("rooms")], None, 1).await.unwrap();
    let mut wakes = there.wakes().await;
    let mut stops = there.stops().await;
    let mut subscription = there.subscribe(EditId::new()).await;
    announce(&here, &hints("rooms", Class::Bulk, 1)).await;
    let delivery = next(&mut consumer).await;
    delivery.ack();
    consumer.flush().await;
    assert!(there.is_connected());
    there.close().await;
    assert!(!there.is_connected());
    assert!(consumer.next().await.is_none());
    assert!(wakes.next().await.is_none());
    assert!(stops.next().await.is_none());
    assert!(subscription.next().await.is_none());
    let results = there.announce(&hints("rooms", Class::Bulk, 2)).await;
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Err(Error::Closed)))
    );
    assert!(matches!(
        there.consume(&[model("rooms")], None, 1).await,
        Err(Error::Closed)
    ));
    // Closing twice is harmless, and so is publishing on a closed handle.
    there.close().await;
    there.wake();
    there.publish_live(&preview(EditId::new(), 1));
}

pub(crate) async fn check_finds_nothing_wrong(here: Broker, _there: Broker) {
    let report = here.check(&[model("rooms")]).await;
    assert!(report.is_healthy(), "{report:#?}");
    println!("{report:#?}");
}
