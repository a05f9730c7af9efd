//! The consumer's loop: takes messages while there is room for their edits, and runs each edit in a task of its own.

use std::sync::Arc;

use limekiln_broker::{Consumer, Delivery};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};

use crate::admission::Admission;
use crate::attempt;
use crate::context::Context;

/// Why a consumer's loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The worker shuts down; every edit that it had has ended or was handed back.
    Shutdown,
    /// The worker was drained.
    Drained,
    /// The broker handle was closed.
    Broker,
}

/// Takes edits of one model and sees them through, until the worker shuts down or is drained.
///
/// `capacity` is shared by the worker's consumers and holds one permit more than the engine has slots: the next edit's
/// input is fetched while it waits, and an urgent edit that comes later waits for one place at most. An edit whose
/// results are being uploaded has given its permit back.
pub(crate) async fn consume(
    ctx: Arc<Context>,
    mut consumer: Consumer,
    capacity: Arc<Semaphore>,
) -> Closed {
    let mut edits = JoinSet::new();
    let mut admission = ctx.admission.subscribe();
    let mut paused = false;
    let closed = loop {
        let now = *admission.borrow_and_update();
        let open = now == Admission::Open;
        if paused == open {
            paused = !open;
            if paused {
                consumer.pause().await;
            } else {
                consumer.resume();
            }
        }
        if now == Admission::Draining && edits.is_empty() {
            break Closed::Drained;
        }
        tokio::select! {
            biased;
            () = ctx.closing.cancelled() => break Closed::Shutdown,
            changed = admission.changed() => if changed.is_err() { break Closed::Shutdown },
            Some(ended) = edits.join_next() => log_panic(ended),
            next = next(&mut consumer, &capacity), if open => match next {
                Some((delivery, permit)) => {
                    // Slots are acquired here and not in the task, so that edits get them in the order of their messages.
                    let slot = Arc::clone(&ctx.slots).try_acquire_owned().ok();
                    edits.spawn(attempt::process(Arc::clone(&ctx), delivery, permit, slot));
                }
                None => break Closed::Broker,
            },
        }
    };
    consumer.pause().await;
    while let Some(ended) = edits.join_next().await {
        log_panic(ended);
    }
    consumer.flush().await;
    closed
}

/// The next message, once there is capacity for its edit. Cancel safe.
async fn next(
    consumer: &mut Consumer,
    capacity: &Arc<Semaphore>,
) -> Option<(Delivery, OwnedSemaphorePermit)> {
    let permit = Arc::clone(capacity).acquire_owned().await.ok()?;
    Some((consumer.next().await?, permit))
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an edit's task panicked; its lease runs out");
    }
}
