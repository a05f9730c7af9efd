//! The consumer's loop: takes messages while there is a slot for their edits, and runs each edit in a task of its own.

use std::sync::Arc;

use limekiln_broker::{Consumer, Offers};
use tokio::task::{JoinError, JoinSet};

use crate::admission::Admission;
use crate::attempt;
use crate::context::Context;

/// Why the consumer's loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The worker shuts down; every edit that it had has ended or was handed back.
    Shutdown,
    /// The worker was drained.
    Drained,
    /// The broker handle was closed.
    Broker,
}

/// Takes edits and sees them through, until the worker shuts down or is drained.
///
/// What is offered to this worker alone comes by the same consumer. The consumer gives out no more edits than the engine has slots. An edit whose results are being uploaded has given its
/// slot back.
pub(crate) async fn consume(
    ctx: Arc<Context>,
    mut consumer: Consumer,
    mut offers: Offers,
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
            // Without a slot for it the edit goes to another worker a moment later.
            Some(hint) = offers.next(), if open => { consumer.offer(hint); }
            delivery = consumer.next(), if open => match delivery {
                Some(delivery) => {
                    edits.spawn(attempt::process(Arc::clone(&ctx), delivery));
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

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an edit's task panicked; its lease runs out");
    }
}
