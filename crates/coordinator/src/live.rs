//! Publishes events of what happened here to watchers. Postgres keeps every event, so nothing depends on this.

use limekiln_broker::Broker;
use limekiln_jobs::{EditId, Live};
use limekiln_store::Store;

/// Publishes the edit's event of this number, read from Postgres.
pub(crate) async fn publish(store: &Store, broker: &Broker, edit: EditId, seq: u64) {
    match store.events_after(edit, seq.saturating_sub(1), 1).await {
        Ok(events) => {
            for event in events {
                broker.publish_live(&Live::Event(event));
            }
        }
        Err(error) => {
            tracing::debug!(%edit, seq, %error, "an event was not published; watchers find it in postgres")
        }
    }
}
