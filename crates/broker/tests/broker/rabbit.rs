//! RabbitMQ, two processes' worth of connections to one virtual host.

use limekiln_broker::{Broker, Settings};
use limekiln_testbed::RabbitMq;

use crate::kit::{SOON, logs};

async fn pair() -> (Broker, Broker) {
    logs();
    let mut settings = Settings::new(RabbitMq::shared().vhost().await);
    // A busy machine is no fault here.
    settings.patience = SOON;
    settings.confirm_timeout = SOON;
    (
        Broker::connect(&settings).await.unwrap(),
        Broker::connect(&settings).await.unwrap(),
    )
}

crate::suite::tests!(pair);
