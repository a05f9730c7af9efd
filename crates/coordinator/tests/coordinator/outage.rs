//! Postgres goes away and comes back; the gauges say what is there.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use limekiln_fixture::{PATIENCE, TestContext, next_delivery};
use limekiln_testbed::{Postgres, Proxy, until};
use metrics::{
    Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use crate::running::{Coordinator, settings, submitter};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_duty_outlives_an_outage_of_postgres() {
    let context = TestContext::with_rabbitmq().await;
    let proxy = Proxy::start(Postgres::shared().port());
    let coordinator = Coordinator::start(&context.behind(&proxy).await, settings());
    let mut consumer = context.consumer(2).await;
    let before = context.edit().await;
    let delivery = next_delivery(&mut consumer).await;
    assert_eq!(delivery.hint.edit, before);
    delivery.ack();
    proxy.refuse();
    proxy.cut();
    let refused = proxy.accepted();
    let during = context.submit(context.submission()).await;
    context.claim(before).await;
    context.lease_expire(before).await;
    // Some for each of the duties, and more than the pool would try at once.
    until("refused connections", PATIENCE, async || {
        proxy.accepted() > refused + 12
    })
    .await;
    assert!(!coordinator.is_finished());
    proxy.resume();
    // The release and the reaper are back. A hint may come twice.
    let mut missing = HashSet::from([before, during]);
    while !missing.is_empty() {
        let delivery = next_delivery(&mut consumer).await;
        missing.remove(&delivery.hint.edit);
        delivery.ack();
    }
    coordinator.stop().await;
}

/// Keeps gauges by name and labels.
#[derive(Default)]
struct Gauges(Mutex<HashMap<String, Arc<Shown>>>);

#[derive(Default)]
struct Shown(Mutex<f64>);

impl GaugeFn for Shown {
    fn increment(&self, value: f64) {
        *self.0.lock().unwrap() += value;
    }
    fn decrement(&self, value: f64) {
        *self.0.lock().unwrap() -= value;
    }
    fn set(&self, value: f64) {
        *self.0.lock().unwrap() = value;
    }
}

impl Gauges {
    fn value(&self, name: &str) -> Option<f64> {
        self.0
            .lock()
            .unwrap()
            .get(name)
            .map(|shown| *shown.0.lock().unwrap())
    }
}

impl Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Gauge::from_arc(Arc::clone(self.0.lock().unwrap().entry(name).or_default()))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn gauges_show_the_queue_and_zero_once_it_is_empty() {
    let gauges = Gauges::default();
    // Of this thread, on which all tasks of the test run.
    let _guard = metrics::set_default_local_recorder(&gauges);
    let context = TestContext::with_rabbitmq().await;
    context.worker_register(5).await;
    context.store.fleet_pause().await.unwrap();
    let mut edits = Vec::new();
    for _ in 0..3 {
        edits.push(context.edit().await);
    }
    context
        .sql("update edits set created_at = now() - interval '1 h'")
        .await;
    let running = context.claim(edits[0]).await;
    let coordinator = Coordinator::start(&context, settings());
    let queue = |state: &str| {
        format!(
            "limekiln_queue_edits{{model={},class=interactive,state={state}}}",
            TestContext::model()
        )
    };
    let oldest = format!(
        "limekiln_queue_oldest_seconds{{model={},class=interactive}}",
        TestContext::model()
    );
    until("gauges", PATIENCE, async || {
        gauges.value("limekiln_fleet_paused{}") == Some(1.0)
    })
    .await;
    assert_eq!(gauges.value(&queue("queued")), Some(2.0));
    assert_eq!(gauges.value(&queue("running")), Some(1.0));
    assert!(
        gauges
            .value(&oldest)
            .is_some_and(|age_s| (3600.0..3700.0).contains(&age_s))
    );
    assert_eq!(
        gauges.value(&format!(
            "limekiln_fleet_slots{{model={}}}",
            TestContext::model()
        )),
        Some(5.0)
    );
    assert_eq!(
        gauges.value(&format!(
            "limekiln_window_edits{{model={}}}",
            TestContext::model()
        )),
        Some(10.0)
    );
    assert_eq!(
        gauges.value("limekiln_fleet_workers{state=alive}"),
        Some(1.0)
    );
    context.complete(&running).await;
    for edit in &edits[1..] {
        submitter(&context)
            .cancel(context.tenant, *edit)
            .await
            .unwrap();
    }
    for name in [queue("queued"), queue("running"), oldest] {
        until(&name, PATIENCE, async || gauges.value(&name) == Some(0.0)).await;
    }
    coordinator.stop().await;
}
