//! Live progress of one edit.

use std::fmt;
use std::sync::Arc;

use limekiln_jobs::{EditId, Live};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::hub::Hub;

/// What a watcher sees.
#[derive(Debug, Clone)]
pub enum Update {
    /// Something happened to the edit.
    Live(Arc<Live>),
    /// Something may have been missed (a slow reader, a lost connection): read the events from Postgres again.
    Lagged,
}

/// Live progress of one edit; dropping it ends the watch. See [`Broker::subscribe`](crate::Broker::subscribe).
pub struct Subscription {
    edit: EditId,
    hub: Arc<Hub>,
    /// Always there until drop.
    receiver: Option<broadcast::Receiver<Update>>,
    /// Called when the edit has no watcher left.
    unbind: Option<Unbind>,
}

type Unbind = Box<dyn FnOnce(EditId) + Send + Sync>;

impl Subscription {
    pub(crate) fn new(edit: EditId, hub: Arc<Hub>, receiver: broadcast::Receiver<Update>) -> Self {
        Self {
            edit,
            hub,
            receiver: Some(receiver),
            unbind: None,
        }
    }

    pub(crate) fn with_unbind(
        mut self,
        unbind: impl FnOnce(EditId) + Send + Sync + 'static,
    ) -> Self {
        self.unbind = Some(Box::new(unbind));
        self
    }

    /// The edit watched.
    #[must_use]
    pub fn edit(&self) -> EditId {
        self.edit
    }

    /// Waits for what happens next. `None` when the broker handle was closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Update> {
        let receiver = self.receiver.as_mut()?;
        let received = tokio::select! {
            received = receiver.recv() => received,
            () = self.hub.closed().cancelled() => return None,
        };
        match received {
            Ok(Update::Lagged) | Err(RecvError::Lagged(_)) => {
                metrics::counter!("limekiln_broker_lagged_total").increment(1);
                Some(Update::Lagged)
            }
            Ok(seen) => Some(seen),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // First stop counting as a watcher, then see whether another is left.
        drop(self.receiver.take());
        if self.hub.unwatch(self.edit)
            && let Some(unbind) = self.unbind.take()
        {
            unbind(self.edit);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("edit", &self.edit)
            .finish_non_exhaustive()
    }
}
