//! Acks and the like on their way back.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use futures_util::future::try_join_all;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use tokio::sync::{mpsc, oneshot};

use super::link::Session;
use crate::consumer::{Settle, Verdict};
use crate::{Hint, Result};

/// Settlements written at once.
const ROUND: usize = 512;

/// A settlement, or a question.
#[derive(Debug)]
pub(super) enum Order {
    Settle {
        tag: u64,
        /// The channel it belongs to; on any other the tag means another message.
        incarnation: u64,
        verdict: Verdict,
    },
    /// Told once everything before it is written.
    Flush(oneshot::Sender<()>),
}

impl Order {
    /// It has no channel any more.
    pub(super) fn lose(self) {
        match self {
            Self::Settle { .. } => lost(1),
            // Dropping the sender tells whoever waits.
            Self::Flush(told) => drop(told),
        }
    }
}

/// The way back of one delivery. Orders are not bounded themselves: there is one for each delivery, and those are.
pub(super) struct Back {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) tag: u64,
    pub(super) incarnation: u64,
}

impl Settle for Back {
    fn settle(self: Box<Self>, hint: &Hint, verdict: Verdict) {
        let order = Order::Settle {
            tag: self.tag,
            incarnation: self.incarnation,
            verdict,
        };
        if self.orders.send(order).is_err() {
            tracing::debug!(edit = %hint.edit, "settled after the consumer ended; the edit comes again");
            lost(1);
        }
    }
}

fn lost(count: u64) {
    metrics::counter!("limekiln_broker_settlements_lost_total").increment(count);
}

/// Tags delivered on one channel and not yet settled.
#[derive(Debug, Default)]
pub(super) struct Unsettled(Mutex<BTreeSet<u64>>);

impl Unsettled {
    pub(super) fn delivered(&self, tag: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tag);
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Takes settled tags out. What is left of `acked` must be acked one by one; the number returned acks everything up to
    /// itself, if that saves messages: acks mostly come in the order of the deliveries.
    fn settled(&self, others: &[u64], acked: &mut BTreeSet<u64>) -> Option<u64> {
        let mut unsettled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for tag in others {
            unsettled.remove(tag);
        }
        let prefix: Vec<_> = unsettled
            .iter()
            .copied()
            .take_while(|tag| acked.contains(tag))
            .collect();
        for tag in acked.iter() {
            unsettled.remove(tag);
        }
        let last = *prefix.last()?;
        for tag in &prefix {
            acked.remove(tag);
        }
        Some(last)
    }
}

/// Writes settlements to one incarnation of the channel, until the last handle that could give one is gone.
pub(super) async fn settle(
    orders: &mut mpsc::UnboundedReceiver<Order>,
    session: &Session,
    channel: &Channel,
    incarnation: u64,
    unsettled: &Unsettled,
) -> Result<()> {
    let mut round = Vec::with_capacity(ROUND);
    while orders.recv_many(&mut round, ROUND).await > 0 {
        let mut acked = BTreeSet::new();
        let mut others = Vec::new();
        let mut flushed = Vec::new();
        for order in round.drain(..) {
            match order {
                Order::Settle {
                    incarnation: of, ..
                } if of != incarnation => order.lose(),
                Order::Settle {
                    tag,
                    verdict: Verdict::Ack,
                    ..
                } => {
                    acked.insert(tag);
                }
                Order::Settle { tag, verdict, .. } => others.push((tag, verdict)),
                Order::Flush(told) => flushed.push(told),
            }
        }
        write(session, channel, unsettled, acked, others).await?;
        for told in flushed {
            // Whoever asked may have stopped waiting.
            let _ = told.send(());
        }
    }
    Ok(())
}

async fn write(
    session: &Session,
    channel: &Channel,
    unsettled: &Unsettled,
    mut acked: BTreeSet<u64>,
    others: Vec<(u64, Verdict)>,
) -> Result<()> {
    let tags: Vec<_> = others.iter().map(|(tag, _)| *tag).collect();
    let up_to = unsettled.settled(&tags, &mut acked);
    let writing = async {
        // An ack of everything up to a tag means what is unsettled, so the others go first.
        try_join_all(
            others
                .into_iter()
                .map(|(tag, verdict)| give_back(channel, tag, verdict)),
        )
        .await?;
        if let Some(tag) = up_to {
            channel
                .basic_ack(tag, BasicAckOptions { multiple: true })
                .await?;
        }
        let single = BasicAckOptions { multiple: false };
        try_join_all(acked.into_iter().map(|tag| channel.basic_ack(tag, single))).await?;
        Ok(())
    };
    session.rpc("settle", writing).await
}

async fn give_back(channel: &Channel, tag: u64, verdict: Verdict) -> lapin::Result<()> {
    match verdict {
        Verdict::Ack => {
            channel
                .basic_ack(tag, BasicAckOptions { multiple: false })
                .await
        }
        Verdict::Requeue => {
            let options = BasicNackOptions {
                multiple: false,
                requeue: true,
            };
            channel.basic_nack(tag, options).await
        }
        Verdict::Reject => {
            channel
                .basic_reject(tag, BasicRejectOptions { requeue: false })
                .await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_up_to_the_first_gap_are_one() {
        let unsettled = Unsettled::default();
        (1..=6).for_each(|tag| unsettled.delivered(tag));
        let mut acked = BTreeSet::from([1, 2, 4]);
        assert_eq!(unsettled.settled(&[], &mut acked), Some(2));
        assert_eq!(acked, BTreeSet::from([4]));
        // What was given back is no gap.
        let mut acked = BTreeSet::from([5]);
        assert_eq!(unsettled.settled(&[3], &mut acked), Some(5));
        assert!(acked.is_empty());
        // An unsettled one is.
        let mut acked = BTreeSet::new();
        assert_eq!(unsettled.settled(&[], &mut acked), None);
    }
}
