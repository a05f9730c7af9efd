//! The suite on RabbitMQ: each handle has its own connections to one virtual host, as two processes have.

use limekiln_broker::{Broker, Settings};
use limekiln_testbed::RabbitMq;

use crate::kit::{SOON, logs};

async fn pair() -> (Broker, Broker) {
    logs();
    let mut settings = Settings::new(RabbitMq::shared().vhost().await);
    // A test must not fail because the machine is busy.
    settings.reconnect_timeout = SOON;
    settings.confirm_timeout = SOON;
    (
        Broker::connect(&settings).await.unwrap(),
        Broker::connect(&settings).await.unwrap(),
    )
}

crate::suite::tests!(pair);
