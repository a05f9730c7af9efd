//! Messages in, as many as there is room for.

use std::sync::Arc;

use limekiln_broker::Consumer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::flow;
use crate::run::Context;

/// Whether edits are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hold {
    /// They are.
    #[default]
    No,
    /// Not until the engine goes on.
    Stalled,
    /// No more; the worker ends with those at hand.
    Drain,
}

/// Why an intake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The worker shuts down; every edit at hand has ended or was given back.
    Shutdown,
    /// The worker was drained.
    Drained,
    /// The broker handle was closed.
    Broker,
}

/// Takes edits of one model and sees them through. There is room for one more than the engine holds, so that an urgent
/// edit that comes later waits for one place at most; what is being delivered takes no room.
pub(crate) async fn take(
    ctx: Arc<Context>,
    mut consumer: Consumer,
    room: Arc<Semaphore>,
) -> Closed {
    let mut edits = JoinSet::new();
    let mut holds = ctx.holds();
    let mut taking = true;
    let closed = loop {
        let hold = *holds.borrow_and_update();
        if taking != (hold == Hold::No) {
            taking = !taking;
            if taking {
                consumer.resume();
            } else {
                consumer.pause().await;
            }
        }
        if hold == Hold::Drain && edits.is_empty() {
            break Closed::Drained;
        }
        tokio::select! {
            biased;
            () = ctx.closing.cancelled() => break Closed::Shutdown,
            changed = holds.changed() => if changed.is_err() { break Closed::Shutdown },
            Some(ended) = edits.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "an edit's task died; its lease runs out");
                }
            }
            delivery = next(&mut consumer, &room), if hold == Hold::No => match delivery {
                Some((delivery, room)) => {
                    // Taken here, so that edits get their places in the order of their messages.
                    let slot = Arc::clone(&ctx.slots).try_acquire_owned().ok();
                    edits.spawn(flow::run(Arc::clone(&ctx), delivery, room, slot));
                }
                None => break Closed::Broker,
            },
        }
    };
    consumer.pause().await;
    while let Some(ended) = edits.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "an edit's task died; its lease runs out");
        }
    }
    consumer.flush().await;
    closed
}

/// The next message, once there is room for it. Cancel safe.
async fn next(
    consumer: &mut Consumer,
    room: &Arc<Semaphore>,
) -> Option<(limekiln_broker::Delivery, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    Some((consumer.next().await?, permit))
}

/// Waits until edits are no longer taken.
pub(crate) async fn held(holds: &mut watch::Receiver<Hold>) {
    // The sender lives as long as the worker.
    let _ = holds.wait_for(|hold| *hold != Hold::No).await;
}
