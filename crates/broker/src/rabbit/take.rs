//! Taking edits: what was delivered and not handed out, of both classes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use limekiln_jobs::{Class, ModelName};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::lane::Lane;
use super::link::Link;
use super::settle::Order;
use crate::{Delivery, Settings};

/// How long `pause` and `flush` wait.
const PATIENCE: Duration = Duration::from_secs(3);

/// Takes edits of one model.
#[derive(Debug)]
pub(crate) struct Taker {
    shared: Arc<Shared>,
    lanes: Vec<Ends>,
    paused: watch::Sender<bool>,
    closed: CancellationToken,
    _dropped: DropGuard,
}

/// Our ends of one class's lane.
#[derive(Debug)]
struct Ends {
    orders: mpsc::UnboundedSender<Order>,
    taking: watch::Receiver<bool>,
}

/// What was delivered and not handed out.
#[derive(Debug, Default)]
pub(super) struct Shared {
    lines: Mutex<[VecDeque<Delivery>; 2]>,
    came: Notify,
    paused: AtomicBool,
}

fn line(class: Class) -> usize {
    match class {
        Class::Interactive => 0,
        Class::Bulk => 1,
    }
}

impl Shared {
    pub(super) fn push(&self, class: Class, delivery: Delivery) {
        self.lines()[line(class)].push_back(delivery);
        self.came.notify_one();
    }

    fn pop(&self) -> Option<Delivery> {
        if self.paused.load(Ordering::Acquire) {
            return None;
        }
        let mut lines = self.lines();
        lines[0].pop_front().or_else(|| lines[1].pop_front())
    }

    /// Gives everything of a class back: a delivery dropped is a delivery requeued.
    pub(super) fn clear(&self, class: Class) {
        let dropped = std::mem::take(&mut self.lines()[line(class)]);
        drop(dropped);
    }

    fn lines(&self) -> MutexGuard<'_, [VecDeque<Delivery>; 2]> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taker {
    pub(super) fn spawn(
        link: &Link,
        model: &ModelName,
        slots: u16,
        settings: &Settings,
        closed: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let (paused, pausing) = watch::channel(false);
        let dropped = CancellationToken::new();
        let lanes = Class::ALL.map(|class| {
            let (orders, receiver) = mpsc::unbounded_channel();
            let (taken, taking) = watch::channel(false);
            let lane = Lane {
                link: link.clone(),
                queue: crate::hint::queue_name(model, class),
                class,
                prefetch: slots.saturating_add(1),
                revive_after: settings.revive_after,
                shared: Arc::clone(&shared),
                orders: orders.downgrade(),
                paused: pausing.clone(),
                taking: taken,
                dropped: dropped.clone(),
                closed: closed.clone(),
                mute_since: None,
            };
            tasks.spawn(lane.run(receiver));
            Ends { orders, taking }
        });
        Self {
            shared,
            lanes: lanes.into(),
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
            // A permit is kept for us should one come between the look and the wait.
            if let Some(delivery) = self.shared.pop() {
                return Some(delivery);
            }
            tokio::select! {
                () = self.shared.came.notified() => {}
                () = self.closed.cancelled() => return None,
            }
        }
    }

    pub(crate) fn ready(&self) -> usize {
        match self.shared.paused.load(Ordering::Acquire) {
            true => 0,
            false => self.shared.lines().iter().map(VecDeque::len).sum(),
        }
    }

    pub(crate) async fn pause(&mut self) {
        self.shared.paused.store(true, Ordering::Release);
        self.paused.send_replace(true);
        let stopped = async {
            for lane in &mut self.lanes {
                // An error means that the lane is gone, and it takes nothing either.
                let _ = lane.taking.wait_for(|taking| !taking).await;
            }
        };
        if timeout(PATIENCE, stopped).await.is_err() {
            tracing::warn!("rabbitmq did not confirm the pause");
        }
        for class in Class::ALL {
            self.shared.clear(class);
        }
        self.flush().await;
    }

    pub(crate) fn resume(&mut self) {
        self.shared.paused.store(false, Ordering::Release);
        self.paused.send_replace(false);
        self.shared.came.notify_one();
    }

    pub(crate) async fn flush(&self) {
        let mut all = Vec::new();
        for lane in &self.lanes {
            let (told, written) = oneshot::channel();
            // A lane that is gone has nothing left to write.
            if lane.orders.send(Order::Flush(told)).is_ok() {
                all.push(written);
            }
        }
        let written = futures_util::future::join_all(all);
        if timeout(PATIENCE, written).await.is_err() {
            tracing::warn!("settlements were not written in time; their edits come again");
        }
    }
}
