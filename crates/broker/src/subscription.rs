//! The subscription to the live progress of one edit, or of one session.

use std::fmt;
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::hub::Hub;
use crate::{Followed, Update};

/// Receives the live progress of an edit or a session; dropping it unsubscribes. See [`Broker::subscribe`](crate::Broker::subscribe).
pub struct Subscription {
    followed: Followed,
    hub: Arc<Hub>,
    /// Present until the drop.
    receiver: Option<broadcast::Receiver<Update>>,
    /// Called when there is no subscriber left.
    unbind: Option<Unbind>,
}

type Unbind = Box<dyn FnOnce(Followed) + Send + Sync>;

impl Subscription {
    pub(crate) fn new(
        followed: Followed,
        hub: Arc<Hub>,
        receiver: broadcast::Receiver<Update>,
        unbind: impl FnOnce(Followed) + Send + Sync + 'static,
    ) -> Self {
        Self {
            followed,
            hub,
            receiver: Some(receiver),
            unbind: Some(Box::new(unbind)),
        }
    }

    /// What is subscribed to.
    #[must_use]
    pub fn followed(&self) -> Followed {
        self.followed
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
        if self.hub.unsubscribe(self.followed)
            && let Some(unbind) = self.unbind.take()
        {
            unbind(self.followed);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("followed", &self.followed)
            .finish_non_exhaustive()
    }
}
