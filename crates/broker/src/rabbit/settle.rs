//! Writes settlements (acks, requeues, rejects) to the channel of their deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::try_join_all;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::sync::{mpsc, oneshot};

use super::session::Session;
use crate::Result;
use crate::delivery::Settlement;

/// How many settlements are written at once.
const ROUND: usize = 512;

/// What the task that writes settlements is asked to do. The commands need no bound of their own: there is one for each
/// delivery, and deliveries are bounded.
#[derive(Debug)]
pub(super) enum SettleCommand {
    Settle {
        /// The delivery's number on its channel.
        tag: u64,
        /// The channel of the delivery. On another channel the tag is another message's.
        channel_id: u64,
        settlement: Settlement,
    },
    /// Answers once every command before it is written.
    Flush(oneshot::Sender<()>),
}

impl SettleCommand {
    /// Drops a command whose channel is gone. Whoever waits for a flush is released by the dropped sender.
    pub(super) fn discard(self) {
        if matches!(self, Self::Settle { .. }) {
            settlement_lost();
        }
    }
}

/// Counts a settlement that came too late for its channel.
pub(super) fn settlement_lost() {
    metrics::counter!("limekiln_broker_settlements_lost_total").increment(1);
}

/// The tags that were delivered on one channel and are not settled, each with the number of the AMQP consumer that it came by.
#[derive(Debug, Default)]
pub(super) struct Unsettled(Mutex<BTreeMap<u64, u64>>);

impl Unsettled {
    pub(super) fn delivered(&self, tag: u64, consumer: u64) {
        self.lock().insert(tag, consumer);
    }

    /// How many came by this consumer.
    pub(super) fn count(&self, consumer: u64) -> usize {
        let unsettled = self.lock();
        unsettled.values().filter(|by| **by == consumer).count()
    }

    /// Removes settled tags. Acks mostly come in the order of the deliveries, so many can be written as one: returns the
    /// tag up to which everything is to be acked at once, if any, and leaves in `acked` those to be acked one by one.
    fn settled(&self, others: &[u64], acked: &mut BTreeSet<u64>) -> Option<u64> {
        let mut unsettled = self.lock();
        for tag in others {
            unsettled.remove(tag);
        }
        let prefix: Vec<_> = unsettled
            .keys()
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

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes settlements to one channel, until the last handle that could send one is dropped.
pub(super) async fn settle(
    commands: &mut mpsc::UnboundedReceiver<SettleCommand>,
    session: &Session,
    channel: &Channel,
    channel_id: u64,
    unsettled: &Unsettled,
) -> Result<()> {
    let mut round = Vec::with_capacity(ROUND);
    while commands.recv_many(&mut round, ROUND).await > 0 {
        let mut acked = BTreeSet::new();
        let mut others = Vec::new();
        let mut flushed = Vec::new();
        for command in round.drain(..) {
            match command {
                SettleCommand::Settle { channel_id: of, .. } if of != channel_id => {
                    command.discard()
                }
                SettleCommand::Settle {
                    tag,
                    settlement: Settlement::Ack,
                    ..
                } => {
                    acked.insert(tag);
                }
                SettleCommand::Settle {
                    tag, settlement, ..
                } => others.push((tag, settlement)),
                SettleCommand::Flush(sender) => flushed.push(sender),
            }
        }
        write(session, channel, unsettled, acked, others).await?;
        for sender in flushed {
            // An error means that the caller of `flush` no longer waits.
            let _ = sender.send(());
        }
    }
    Ok(())
}

async fn write(
    session: &Session,
    channel: &Channel,
    unsettled: &Unsettled,
    mut acked: BTreeSet<u64>,
    others: Vec<(u64, Settlement)>,
) -> Result<()> {
    let tags: Vec<_> = others.iter().map(|(tag, _)| *tag).collect();
    let up_to = unsettled.settled(&tags, &mut acked);
    let writing = async {
        // An ack up to a tag acks everything that is unsettled until there, so requeues and rejects are written first.
        try_join_all(
            others
                .into_iter()
                .map(|(tag, settlement)| write_one(channel, tag, settlement)),
        )
        .await?;
        if let Some(tag) = up_to {
            channel
                .basic_ack(tag, BasicAckOptions { multiple: true })
                .await?;
        }
        let single = |tag| write_one(channel, tag, Settlement::Ack);
        try_join_all(acked.into_iter().map(single)).await?;
        Ok(())
    };
    session.rpc("settle", writing).await
}

async fn write_one(channel: &Channel, tag: u64, settlement: Settlement) -> lapin::Result<()> {
    let nack = |requeue| BasicNackOptions {
        multiple: false,
        requeue,
    };
    match settlement {
        Settlement::Ack => {
            let single = BasicAckOptions { multiple: false };
            channel.basic_ack(tag, single).await
        }
        Settlement::Requeue => channel.basic_nack(tag, nack(true)).await,
        Settlement::Reject => channel.basic_nack(tag, nack(false)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_up_to_the_first_gap_are_one() {
        let unsettled = Unsettled::default();
        (1..=6).for_each(|tag| unsettled.delivered(tag, tag % 2));
        assert_eq!(unsettled.count(1), 3);
        let mut acked = BTreeSet::from([1, 2, 4]);
        assert_eq!(unsettled.settled(&[], &mut acked), Some(2));
        assert_eq!(acked, BTreeSet::from([4]));
        // A requeued or rejected tag is no gap.
        let mut acked = BTreeSet::from([5]);
        assert_eq!(unsettled.settled(&[3], &mut acked), Some(5));
        assert!(acked.is_empty());
        // An unsettled tag is one.
        let mut acked = BTreeSet::new();
        assert_eq!(unsettled.settled(&[], &mut acked), None);
    }
}
