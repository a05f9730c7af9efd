//! The consumer of announced edits: the tasks that read its queues, and the one that says when.

use std::sync::Arc;
use std::time::Duration;

use limekiln_jobs::Class;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::buffer::Buffer;
use super::intake::{Intake, Reading, State};
use super::link::Link;
use super::queue_consumer::QueueConsumer;
use super::settle::SettleCommand;
use crate::queue::Queue;
use crate::{Delivery, Hint, Settings};

/// How long `pause` and `flush` wait.
const WAIT: Duration = Duration::from_secs(3);

/// The number of no queue, for what was offered.
const OFFERED: usize = usize::MAX;

/// Consumes announced edits.
#[derive(Debug)]
pub(crate) struct Consumer {
    buffer: Arc<Buffer>,
    settling: Vec<mpsc::UnboundedSender<SettleCommand>>,
    paused: watch::Sender<bool>,
    quiet: watch::Receiver<bool>,
    closed: CancellationToken,
    _dropped: DropGuard,
}

impl Consumer {
    /// Reads these queues, given by class, interactive ones first.
    pub(super) fn spawn(
        link: &Link,
        queues: Vec<(Class, Vec<Queue>)>,
        slots: usize,
        settings: &Settings,
        closed: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let buffer = Arc::new(Buffer::new(slots));
        let dropped = CancellationToken::new();
        let mut settling = Vec::new();
        let mut read = |class, queue| {
            let (commands, receiver) = mpsc::unbounded_channel();
            let (takes, asked) = mpsc::channel(1);
            let (open, opened) = watch::channel(false);
            let (said, state) = watch::channel(State::Away);
            let consumer = QueueConsumer {
                link: link.clone(),
                queue,
                class,
                number: settling.len(),
                recreate_after: settings.recreate_after,
                buffer: Arc::clone(&buffer),
                commands: commands.downgrade(),
                takes: asked,
                open: opened,
                state: said,
                dropped: dropped.clone(),
                closed: closed.clone(),
                unresponsive_since: None,
            };
            tasks.spawn(consumer.run(receiver));
            settling.push(commands);
            Reading { takes, open, state }
        };
        let queues = queues.into_iter().map(|(class, queues)| {
            let reading = queues.into_iter().map(|queue| read(class, queue));
            reading.collect()
        });
        let queues = queues.collect();
        let (paused, pause_state) = watch::channel(false);
        let (quiet, quiet_state) = watch::channel(true);
        let intake = Intake {
            buffer: Arc::clone(&buffer),
            queues,
            paused: pause_state,
            quiet,
            turn: 0,
        };
        let (closed_too, dropped_too) = (closed.clone(), dropped.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = closed_too.cancelled() => {}
                () = dropped_too.cancelled() => {}
                () = intake.run() => {}
            }
        });
        Self {
            buffer,
            settling,
            paused,
            quiet: quiet_state,
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
            false => self.buffer.ready(),
        }
    }

    pub(crate) fn offer(&mut self, hint: Hint) -> bool {
        let taken = !self.is_paused() && self.buffer.room() > 0;
        if taken {
            let delivery = Delivery::new(hint, false, |_, _| {});
            self.buffer.push(delivery.hint.class, OFFERED, delivery);
        }
        taken
    }

    pub(crate) async fn pause(&mut self) {
        self.paused.send_replace(true);
        // An error means that the intake has ended, and reads nothing either.
        if timeout(WAIT, self.quiet.wait_for(|quiet| *quiet))
            .await
            .is_err()
        {
            tracing::warn!("rabbitmq did not confirm the pause");
        }
        self.buffer.clear_all();
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
        for commands in &self.settling {
            let (sender, written) = oneshot::channel();
            // An error means that the task has ended, and has nothing left to write.
            if commands.send(SettleCommand::Flush(sender)).is_ok() {
                all.push(written);
            }
        }
        let written = futures_util::future::join_all(all);
        if timeout(WAIT, written).await.is_err() {
            tracing::warn!("settlements were not written in time; their edits come again");
        }
    }
}
