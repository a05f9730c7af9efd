//! Publishes live messages and signals, unconfirmed. Callers never wait: a bounded number of messages does, and the
//! oldest are dropped for the newest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use limekiln_jobs::{Live, WorkerId};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::Link;
use super::publish_channel::PublishChannel;
use super::topology::{PROGRESS, STOP, WAKE, progress_key, worker_key};
use crate::{Error, Followed, Hint, Result, Stop};

/// How many messages may wait.
const WAITING: usize = 4096;
/// How many bytes may wait. Previews are pictures, so the number alone bounds nothing.
const WAITING_BYTES: usize = 32 << 20;
/// How many messages are written at once.
const ROUND: usize = 256;
/// The shortest time between two wakes.
const WAKE_EVERY: Duration = Duration::from_millis(5);
/// How long messages may wait for a lost connection to be restored.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The messages that wait to be published.
#[derive(Debug, Default)]
pub(super) struct Broadcaster {
    waiting: Mutex<Waiting>,
    pushed: Notify,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Outgoing>,
    bytes: usize,
}

#[derive(Debug)]
struct Outgoing {
    exchange: &'static str,
    key: String,
    body: Vec<u8>,
}

impl Broadcaster {
    pub(super) fn spawn(link: Link, closed: CancellationToken, tasks: &TaskTracker) -> Arc<Self> {
        let broadcaster = Arc::new(Self::default());
        tasks.spawn(wakes(Arc::clone(&broadcaster), closed.clone()));
        tasks.spawn(publish(Arc::clone(&broadcaster), link, closed));
        broadcaster
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) fn stop(&self, stop: Stop) {
        match serde_json::to_vec(&stop) {
            Ok(body) => self.push(STOP, String::new(), body),
            Err(error) => tracing::error!(?stop, %error, "stop not published"),
        }
    }

    pub(super) fn offer(&self, worker: WorkerId, hint: &Hint) {
        match serde_json::to_vec(hint) {
            Ok(body) => self.push(PROGRESS, worker_key(worker), body),
            Err(error) => tracing::error!(?hint, %error, "offer not published"),
        }
    }

    pub(super) fn live(&self, live: &Live) {
        match serde_json::to_vec(live) {
            Ok(body) => Followed::of(live)
                .for_each(|followed| self.push(PROGRESS, progress_key(followed), body.clone())),
            Err(error) => tracing::error!(?live, %error, "live message not published"),
        }
    }

    fn push(&self, exchange: &'static str, key: String, body: Vec<u8>) {
        {
            let mut waiting = self.lock();
            while waiting.messages.len() >= WAITING || waiting.bytes + body.len() > WAITING_BYTES {
                let Some(oldest) = waiting.messages.pop_front() else {
                    break;
                };
                waiting.bytes -= oldest.body.len();
                dropped(1);
            }
            waiting.bytes += body.len();
            waiting.messages.push_back(Outgoing {
                exchange,
                key,
                body,
            });
        }
        self.pushed.notify_one();
    }

    fn take(&self) -> Vec<Outgoing> {
        let mut waiting = self.lock();
        let count = waiting.messages.len().min(ROUND);
        let taken: Vec<_> = waiting.messages.drain(..count).collect();
        waiting.bytes -= taken
            .iter()
            .map(|message| message.body.len())
            .sum::<usize>();
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn dropped(count: usize) {
    metrics::counter!("limekiln_broker_live_dropped_total").increment(count as u64);
}

/// Publishes wakes: the first at once, and those within the next 5 ms as one after it.
async fn wakes(broadcaster: Arc<Broadcaster>, closed: CancellationToken) {
    while closed
        .run_until_cancelled(broadcaster.wake.notified())
        .await
        .is_some()
    {
        broadcaster.push(WAKE, String::new(), Vec::new());
        tokio::time::sleep(WAKE_EVERY).await;
    }
}

/// Publishes what waits, until the broker is closed and nothing waits any more.
async fn publish(broadcaster: Arc<Broadcaster>, link: Link, closed: CancellationToken) {
    let mut channel = PublishChannel::new(link, false);
    loop {
        // Asked before taking, so that what was pushed before the broker was closed is still published.
        let closing = closed.is_cancelled();
        let messages = broadcaster.take();
        if messages.is_empty() {
            if closing {
                return;
            }
            closed
                .run_until_cancelled(broadcaster.pushed.notified())
                .await;
            continue;
        }
        if let Err(error) = write(&mut channel, &closed, &messages).await {
            tracing::warn!(messages = messages.len(), %error, "live messages dropped");
            dropped(messages.len());
            channel.reset();
        } else {
            metrics::counter!("limekiln_broker_live_published_total")
                .increment(messages.len() as u64);
        }
    }
}

async fn write(
    channel: &mut PublishChannel,
    closed: &CancellationToken,
    messages: &[Outgoing],
) -> Result<()> {
    // Once the broker is closed, only a connection that is there is used.
    let channel = match closed
        .run_until_cancelled(channel.get(RECONNECT_TIMEOUT))
        .await
    {
        Some(channel) => channel?,
        None => channel.get(Duration::ZERO).await?,
    };
    let writing = join_all(messages.iter().map(|message| {
        channel.basic_publish(
            message.exchange.into(),
            message.key.as_str().into(),
            BasicPublishOptions::default(),
            &message.body,
            BasicProperties::default().with_delivery_mode(1),
        )
    }));
    let written = timeout(WRITE_TIMEOUT, writing)
        .await
        .map_err(|_| Error::Unconfirmed(WRITE_TIMEOUT))?;
    for result in written {
        result?;
    }
    Ok(())
}
