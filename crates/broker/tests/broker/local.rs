//! The suite on the in-process backend.

use limekiln_broker::Broker;

async fn pair() -> (Broker, Broker) {
    let broker = Broker::local();
    (broker.clone(), broker)
}

crate::suite::tests!(pair);
