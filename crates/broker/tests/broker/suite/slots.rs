//! Which edits come to which consumer, and how many at once.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use limekiln_broker::Broker;
use limekiln_jobs::Class;
use limekiln_testbed::until;

use crate::kit::*;

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
