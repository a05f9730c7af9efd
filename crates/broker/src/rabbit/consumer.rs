//! The consumer of one model's queues.

use std::sync::Arc;
use std::time::Duration;

use limekiln_jobs::{Class, ModelName};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::buffer::Buffer;
use super::link::Link;
use super::queue_consumer::QueueConsumer;
use super::settle::SettleCommand;
use crate::queue::queue_name;
use crate::{Delivery, Settings};

/// How long `pause` and `flush` wait.
const WAIT: Duration = Duration::from_secs(3);

/// Consumes the edits of one model.
#[derive(Debug)]
pub(crate) struct Consumer {
    buffer: Arc<Buffer>,
    queues: Vec<QueueHandle>,
    paused: watch::Sender<bool>,
    closed: CancellationToken,
    _dropped: DropGuard,
}

/// The consumer's handle to the task that consumes from one queue.
#[derive(Debug)]
struct QueueHandle {
    commands: mpsc::UnboundedSender<SettleCommand>,
    consuming: watch::Receiver<bool>,
}

impl Consumer {
    pub(super) fn spawn(
        link: &Link,
        model: &ModelName,
        slots: u16,
        settings: &Settings,
        closed: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let buffer = Arc::new(Buffer::default());
        let (paused, pause_state) = watch::channel(false);
        let dropped = CancellationToken::new();
        let queues = Class::ALL.map(|class| {
            let (commands, receiver) = mpsc::unbounded_channel();
            let (consuming_state, consuming) = watch::channel(false);
            let consumer = QueueConsumer {
                link: link.clone(),
                queue: queue_name(model, class),
                class,
                prefetch: slots.saturating_add(1),
                recreate_after: settings.recreate_after,
                buffer: Arc::clone(&buffer),
                commands: commands.downgrade(),
                paused: pause_state.clone(),
                consuming: consuming_state,
                dropped: dropped.clone(),
                closed: closed.clone(),
                unresponsive_since: None,
            };
            tasks.spawn(consumer.run(receiver));
            QueueHandle {
                commands,
                consuming,
            }
        });
        Self {
            buffer,
            queues: queues.into(),
            paused,
            closed: closed.clone(),
            _dropped: dropped.drop_guard(),
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        loop {
            if self.closed.is_cancelled() {
                return None;
            }
            // `Notify` keeps a permit, so a delivery that comes between the look and the wait is not missed.
            if !self.is_paused()
                && let Some(delivery) = self.buffer.pop()
            {
                return Some(delivery);
            }
            let changed = self.buffer.changed.notified();
            self.closed.run_until_cancelled(changed).await?;
        }
    }

    pub(crate) fn ready(&self) -> usize {
        match self.is_paused() {
            true => 0,
            false => self.buffer.len(),
        }
    }

    pub(crate) async fn pause(&mut self) {
        self.paused.send_replace(true);
        let stopped = async {
            for queue in &mut self.queues {
                // An error means that the task has ended, and consumes nothing either.
                let _ = queue.consuming.wait_for(|consuming| !consuming).await;
            }
        };
        if timeout(WAIT, stopped).await.is_err() {
            tracing::warn!("rabbitmq did not confirm the pause");
        }
        for class in Class::ALL {
            self.buffer.clear(class);
        }
        self.flush().await;
    }

    pub(crate) fn resume(&mut self) {
        self.paused.send_replace(false);
        self.buffer.changed.notify_one();
    }

    fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    pub(crate) async fn flush(&self) {
        let mut all = Vec::new();
        for queue in &self.queues {
            let (sender, written) = oneshot::channel();
            // An error means that the task has ended, and has nothing left to write.
            if queue.commands.send(SettleCommand::Flush(sender)).is_ok() {
                all.push(written);
            }
        }
        let written = futures_util::future::join_all(all);
        if timeout(WAIT, written).await.is_err() {
            tracing::warn!("settlements were not written in time; their edits come again");
        }
    }
}
