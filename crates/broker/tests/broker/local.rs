//! The in-process twin.

use limekiln_broker::Broker;

async fn pair() -> (Broker, Broker) {
    let broker = Broker::local();
    (broker.clone(), broker)
}

crate::suite::tests!(pair);
