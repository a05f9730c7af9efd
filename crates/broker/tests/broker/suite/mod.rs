//! What both backends promise. Each test has two handles, `here` and `there`: on RabbitMQ they stand for two processes, in
//! process they are the same.

mod settled;
mod signals;
mod slots;

use limekiln_broker::{Broker, Error};
use limekiln_jobs::{Class, EditId};

use crate::kit::*;

pub(crate) use settled::*;
pub(crate) use signals::*;
pub(crate) use slots::*;

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
