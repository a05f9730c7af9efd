//! RabbitMQ, two processes' worth of connections to one virtual host.

use limekiln_broker::{Broker, Settings};
use limekiln_testbed::RabbitMq;

async fn pair() -> (Broker, Broker) {
    let settings = Settings::new(RabbitMq::shared().vhost().await);
    (
        Broker::connect(&settings).await.unwrap(),
        Broker::connect(&settings).await.unwrap(),
    )
}

crate::suite::tests!(pair);
