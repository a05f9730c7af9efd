//! Helpers of the tests.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use limekiln_broker::{Broker, Consumer, Delivery, Hint, Settings, Update};
use limekiln_jobs::{Class, EditId, Epoch, Live, ModelName, Retryable, TenantId};
use limekiln_testbed::{RabbitMq, until};

/// Long enough for anything on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Prints logs as `RUST_LOG` says.
pub(crate) fn logs() {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_test_writer()
        .try_init();
}

/// A RabbitMQ node for one test at a time. The test may stop it, and leaves it running.
pub(crate) async fn node_alone() -> tokio::sync::MutexGuard<'static, RabbitMq> {
    static ALONE: OnceLock<tokio::sync::Mutex<RabbitMq>> = OnceLock::new();
    let alone = ALONE.get_or_init(|| tokio::sync::Mutex::new(RabbitMq::start()));
    let node = alone.lock().await;
    if std::net::TcpStream::connect(("127.0.0.1", node.port())).is_err() {
        // An earlier test failed while the node was stopped.
        node.run().await;
    }
    node
}

pub(crate) fn model(name: &str) -> ModelName {
    name.parse().unwrap()
}

pub(crate) fn hint(model_name: &str, class: Class) -> Hint {
    let edit = EditId::new();
    Hint {
        edit,
        tenant: TenantId::new(),
        model: model(model_name),
        class,
        cohort: None,
        announcement: 1,
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

pub(crate) fn hints(model: &str, class: Class, count: usize) -> Vec<Hint> {
    (0..count).map(|_| hint(model, class)).collect()
}

/// So many hints of each class.
pub(crate) fn hints_of_all_classes(model: &str, count: usize) -> Vec<Hint> {
    let of = |class| hints(model, class, count);
    Class::ALL.into_iter().flat_map(of).collect()
}

pub(crate) fn edits<'a>(hints: impl IntoIterator<Item = &'a Hint>) -> BTreeSet<EditId> {
    hints.into_iter().map(|hint| hint.edit).collect()
}

/// Announces, and expects every announcement to be confirmed.
pub(crate) async fn announce(broker: &Broker, hints: &[Hint]) {
    let results = broker.announce(hints).await;
    assert_eq!(results.len(), hints.len());
    for result in results {
        result.unwrap();
    }
}

/// Announces until every announcement is confirmed, as the coordinator does.
pub(crate) async fn announce_stubbornly(broker: &Broker, hints: &[Hint]) {
    let mut left = hints.to_vec();
    let all = async || {
        let results = broker.announce(&left).await;
        let mut results = results.into_iter();
        left.retain(|_| match results.next().unwrap() {
            Ok(()) => false,
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                true
            }
        });
        left.is_empty()
    };
    until("announcements", 2 * SOON, all).await;
}

/// Waits for something that is expected soon.
pub(crate) async fn soon<T>(waiting: impl Future<Output = Option<T>>) -> T {
    let answer = tokio::time::timeout(SOON, waiting).await;
    answer.expect("an answer in time").expect("an open broker")
}

pub(crate) async fn next(consumer: &mut Consumer) -> Delivery {
    soon(consumer.next()).await
}

pub(crate) async fn receive(subscription: &mut limekiln_broker::Subscription) -> Update {
    soon(subscription.next()).await
}

/// The next live message, whatever was missed before.
pub(crate) async fn receive_live(subscription: &mut limekiln_broker::Subscription) -> Live {
    loop {
        if let Update::Live(live) = receive(subscription).await {
            return Live::clone(&live);
        }
    }
}

pub(crate) fn preview(edit: EditId, step: u32) -> Live {
    Live::Preview {
        edit,
        session: None,
        epoch: Epoch::new(1),
        step,
        jpeg: "/9j/4AAQ".to_owned(),
    }
}

pub(crate) fn step(live: &Live) -> u32 {
    match live {
        Live::Preview { step, .. } => *step,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn ready(broker: &Broker, name: &str, class: Class) -> u64 {
    let depths = broker.depth(&model(name)).await.unwrap();
    let depth = depths.iter().find(|depth| depth.class == Some(class));
    depth.unwrap().ready
}

pub(crate) async fn dead(broker: &Broker) -> u64 {
    broker.depth_dead().await.unwrap().ready
}

/// Settings with short timeouts, so that faults are noticed quickly.
pub(crate) fn impatient(url: impl Into<String>) -> Settings {
    logs();
    Settings {
        name: "limekiln-test".to_owned(),
        connect_timeout: Duration::from_secs(10),
        confirm_timeout: Duration::from_secs(2),
        reconnect_timeout: Duration::from_millis(500),
        heartbeat: Duration::from_secs(1),
        recreate_after: Duration::from_secs(5),
        ..Settings::new(url)
    }
}

/// Announces these edits until they are confirmed, and consumes them.
pub(crate) async fn announce_and_take(broker: &Broker, consumer: &mut Consumer, hints: &[Hint]) {
    announce_stubbornly(broker, hints).await;
    take_all(consumer, &edits(hints)).await;
}

/// Takes and acks until every one of these came at least once.
pub(crate) async fn take_all(consumer: &mut Consumer, expected: &BTreeSet<EditId>) {
    let mut missing = expected.clone();
    let taking = async {
        while !missing.is_empty() {
            let delivery = consumer.next().await.expect("an open broker");
            missing.remove(&delivery.hint.edit);
            delivery.ack();
        }
    };
    let in_time = tokio::time::timeout(2 * SOON, taking).await.is_ok();
    assert!(in_time, "{} edits never came", missing.len());
}
