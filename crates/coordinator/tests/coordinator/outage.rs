//! Postgres goes away and comes back; the gauges say what is there.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use limekiln_coordinator::run;
use limekiln_store::Submission;
use limekiln_testbed::{Postgres, Proxy, until};
use metrics::{
    Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use tokio_util::sync::CancellationToken;

use crate::home::{Home, PATIENCE, model, offered, settings, submission, through};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_duty_outlives_an_outage_of_postgres() {
    let home = Home::new().await;
    let proxy = Proxy::start(Postgres::shared().port());
    let shutdown = CancellationToken::new();
    let coordinator = tokio::spawn(run(
        settings(),
        through(&home, &proxy).await,
        home.broker.clone(),
        home.blobs.clone(),
        shutdown.clone(),
    ));
    let mut consumer = home.consumer(2).await;
    let (tenant, before) = home.edit().await;
    let delivery = offered(&mut consumer).await;
    assert_eq!(delivery.hint.edit, before);
    delivery.ack();
    proxy.refuse();
    proxy.cut();
    let refused = proxy.accepted();
    let image = home.image(tenant).await;
    let during = home.submit(submission(tenant, image)).await;
    home.claim(before).await;
    home.sql(&format!(
        "update edits set lease_expires_at = now() - interval '1 s' where id = '{before}'"
    ))
    .await;
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
        let delivery = offered(&mut consumer).await;
        missing.remove(&delivery.hint.edit);
        delivery.ack();
    }
    shutdown.cancel();
    tokio::time::timeout(PATIENCE, coordinator)
        .await
        .expect("an end")
        .unwrap()
        .unwrap();
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
    let home = Home::new().await;
    home.slots(5).await;
    home.store.fleet_pause().await.unwrap();
    let tenant = home.tenant().await;
    let image = home.image(tenant).await;
    let mut edits = Vec::new();
    for _ in 0..3 {
        edits.push(
            home.submit(Submission {
                ..submission(tenant, image)
            })
            .await,
        );
    }
    home.sql("update edits set created_at = now() - interval '1 h'")
        .await;
    let running = home.claim(edits[0]).await;
    let coordinator = home.coordinator(settings());
    let queue = |state: &str| {
        format!(
            "limekiln_queue_edits{{model={},class=interactive,state={state}}}",
            model()
        )
    };
    let oldest = format!(
        "limekiln_queue_oldest_seconds{{model={},class=interactive}}",
        model()
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
        gauges.value(&format!("limekiln_fleet_slots{{model={}}}", model())),
        Some(5.0)
    );
    assert_eq!(
        gauges.value(&format!("limekiln_window_edits{{model={}}}", model())),
        Some(10.0)
    );
    assert_eq!(
        gauges.value("limekiln_fleet_workers{state=alive}"),
        Some(1.0)
    );
    home.complete(&running).await;
    for edit in &edits[1..] {
        home.submitter().cancel(tenant, *edit).await.unwrap();
    }
    for name in [queue("queued"), queue("running"), oldest] {
        until(&name, PATIENCE, async || gauges.value(&name) == Some(0.0)).await;
    }
    coordinator.stop().await;
}
