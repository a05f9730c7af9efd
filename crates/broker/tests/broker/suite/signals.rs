//! What reaches all, or one worker, without a queue of edits: wakes, stops, offers, subscriptions.

use std::time::Instant;

use limekiln_broker::{Broker, Run, Stop, Update};
use limekiln_jobs::{Class, EditId, Epoch, WorkerId};

use crate::kit::*;

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
