//! The subscription to one edit's live progress.

use std::fmt;
use std::sync::Arc;

use limekiln_jobs::EditId;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::Update;
use crate::hub::Hub;

/// Receives one edit's live progress; dropping it unsubscribes. See [`Broker::subscribe`](crate::Broker::subscribe).
pub struct Subscription {
    edit: EditId,
    hub: Arc<Hub>,
    /// Present until the drop.
    receiver: Option<broadcast::Receiver<Update>>,
    /// Called when the edit has no subscriber left.
    unbind: Option<Unbind>,
}

type Unbind = Box<dyn FnOnce(EditId) + Send + Sync>;

impl Subscription {
    pub(crate) fn new(
        edit: EditId,
        hub: Arc<Hub>,
        receiver: broadcast::Receiver<Update>,
        unbind: impl FnOnce(EditId) + Send + Sync + 'static,
    ) -> Self {
        Self {
            edit,
            hub,
            receiver: Some(receiver),
            unbind: Some(Box::new(unbind)),
        }
    }

    /// The edit subscribed to.
    #[must_use]
    pub fn edit(&self) -> EditId {
        self.edit
    }

    /// Waits for the next update. `None` when the broker handle was closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Update> {
        let received = self.receiver.as_mut()?.recv();
        match self.hub.closed().run_until_cancelled(received).await? {
            Ok(Update::Lagged) | Err(RecvError::Lagged(_)) => {
                metrics::counter!("limekiln_broker_lagged_total").increment(1);
                Some(Update::Lagged)
            }
            Ok(update) => Some(update),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // The hub counts receivers, so ours has to go before the hub is asked whether another is left.
        drop(self.receiver.take());
        if self.hub.unsubscribe(self.edit)
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
