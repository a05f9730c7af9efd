//! Bulk is asked to step aside for interactive edits.

use limekiln_broker::{Run, Stop};
use limekiln_fixture::{PATIENCE, TestContext, next_delivery};
use limekiln_jobs::Class;
use limekiln_store::Submission;

use crate::running::{Coordinator, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_running_bulk_edit_is_asked_for_each_interactive_one_that_waits() {
    let context = TestContext::with_rabbitmq().await;
    context.worker_register(2).await;
    let mut stops = context.broker.stops().await;
    let coordinators = [
        Coordinator::start(&context, settings()),
        Coordinator::start(&context, settings()),
    ];
    let mut consumer = context.consumer(2).await;
    let mut running = Vec::new();
    for _ in 0..2 {
        let class = Class::Bulk;
        let bulk = Submission {
            class,
            ..context.submission()
        };
        context.submit(bulk).await;
        let delivery = next_delivery(&mut consumer).await;
        running.push((context.claim(delivery.hint.edit).await, delivery));
    }
    context.edit().await;
    // Nobody heeds it: the same one is asked again, and no other.
    let newest = &running[1].0;
    let run = Run {
        edit: newest.edit,
        epoch: newest.epoch,
    };
    for _ in 0..3 {
        let stop = tokio::time::timeout(PATIENCE, stops.next()).await.unwrap();
        assert_eq!(stop, Some(Stop::Aside { step_aside: run }));
    }
    let asked = context
        .number("select sum(asides)::bigint from edits")
        .await;
    assert_eq!(asked, 1);
    for coordinator in coordinators {
        coordinator.stop().await;
    }
}
