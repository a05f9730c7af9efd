//! Live messages and signals on their way out: bounded, lossy, never waited for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel};
use limekiln_jobs::{EditId, Live};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::{Link, Session};
use super::topology::{self, PROGRESS, STOP, WAKE};
use crate::{Result, Stop};

/// Messages that may wait; the oldest is dropped for the newest.
const WAITING: usize = 4096;
/// Bytes that may wait: previews are pictures.
const WAITING_BYTES: usize = 32 << 20;
/// Messages written at once.
const ROUND: usize = 256;
/// Between two wakes.
const WAKE_EVERY: Duration = Duration::from_millis(5);
/// How long messages may wait for a lost connection.
const PATIENCE: Duration = Duration::from_secs(30);
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// What waits to be published.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    came: Notify,
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

impl Outbox {
    pub(super) fn spawn(link: Link, closed: CancellationToken, tasks: &TaskTracker) -> Arc<Self> {
        let outbox = Arc::new(Self::default());
        tasks.spawn(wakes(Arc::clone(&outbox), closed.clone()));
        tasks.spawn(publish(Arc::clone(&outbox), link, closed));
        outbox
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) fn stop(&self, stop: Stop) {
        match serde_json::to_vec(&stop) {
            Ok(body) => self.push(STOP, String::new(), body),
            Err(error) => tracing::error!(edit = %stop.edit, %error, "stop not published"),
        }
    }

    pub(super) fn live(&self, live: &Live) {
        match serde_json::to_vec(live) {
            Ok(body) => self.push(PROGRESS, progress_key(live.edit()), body),
            Err(error) => {
                tracing::error!(edit = %live.edit(), %error, "live message not published")
            }
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
        self.came.notify_one();
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

/// The routing key of an edit's progress.
pub(super) fn progress_key(edit: EditId) -> String {
    format!("edit.{edit}")
}

fn dropped(count: usize) {
    metrics::counter!("limekiln_broker_live_dropped_total").increment(count as u64);
}

/// The first wake goes out at once, those that come within the next 5 ms as one after them.
async fn wakes(outbox: Arc<Outbox>, closed: CancellationToken) {
    while closed
        .run_until_cancelled(outbox.wake.notified())
        .await
        .is_some()
    {
        outbox.push(WAKE, String::new(), Vec::new());
        tokio::time::sleep(WAKE_EVERY).await;
    }
}

async fn publish(outbox: Arc<Outbox>, link: Link, closed: CancellationToken) {
    let mut channel = None;
    loop {
        let mut messages = outbox.take();
        if messages.is_empty() {
            if closed
                .run_until_cancelled(outbox.came.notified())
                .await
                .is_none()
            {
                messages = outbox.take();
                if messages.is_empty() {
                    return;
                }
            } else {
                continue;
            }
        }
        if let Err(error) = write(&mut channel, &link, &closed, &messages).await {
            tracing::warn!(messages = messages.len(), %error, "live messages dropped");
            dropped(messages.len());
            channel = None;
        } else {
            metrics::counter!("limekiln_broker_live_published_total")
                .increment(messages.len() as u64);
        }
    }
}

type Open = Option<(Arc<Session>, Channel)>;

async fn write(
    open: &mut Open,
    link: &Link,
    closed: &CancellationToken,
    messages: &[Outgoing],
) -> Result<()> {
    let usable = open.as_ref().is_some_and(|(session, channel)| {
        channel.status().connected() && !session.ended.is_cancelled()
    });
    if !usable {
        if let Some((session, _)) = open.take()
            && !session.ended.is_cancelled()
        {
            // The channel ended alone: an exchange may be gone.
            topology::declare(&session).await?;
        }
        let session = match closed.run_until_cancelled(link.session(PATIENCE)).await {
            Some(session) => session?,
            None => link.session(Duration::ZERO).await?,
        };
        let channel = session.channel().await?;
        *open = Some((session, channel));
    }
    let Some((session, channel)) = open else {
        return Ok(());
    };
    if session.is_blocked() {
        return Err(crate::Error::Blocked);
    }
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
        .map_err(|_| crate::Error::Unconfirmed(WRITE_TIMEOUT))?;
    for result in written {
        result?;
    }
    Ok(())
}
