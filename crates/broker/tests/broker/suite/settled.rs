//! What becomes of an edit that was announced: taken, given back, rejected, purged.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use limekiln_broker::Broker;
use limekiln_jobs::Class;
use limekiln_testbed::until;

use crate::kit::*;

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
