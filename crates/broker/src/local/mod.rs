//! The in-process twin: the same promises as RabbitMQ's, kept in memory.

mod queue;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use limekiln_jobs::{Class, EditId, Live, ModelName};
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::report::{Finding, Level};
use crate::{Depth, Error, Hint, Report, Result, Stop, Subscription};
pub(crate) use queue::Taker;
use queue::{DEAD_LIMIT, Dead, Queue};

/// The queues, and the hub that everything else goes through.
#[derive(Debug)]
pub(crate) struct Local {
    queues: Mutex<HashMap<ModelName, Arc<Queue>>>,
    dead: Dead,
    hub: Arc<Hub>,
}

impl Local {
    pub(crate) fn new() -> Self {
        Self {
            queues: Mutex::default(),
            dead: Arc::default(),
            hub: Arc::new(Hub::new(CancellationToken::new())),
        }
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(crate) fn announce(&self, hints: &[Hint]) -> Vec<Result<()>> {
        hints.iter().map(|hint| self.announce_one(hint)).collect()
    }

    fn announce_one(&self, hint: &Hint) -> Result<()> {
        if self.hub.closed().is_cancelled() {
            return Err(Error::Closed);
        }
        let announced = self.queue(&hint.model).push(hint.clone());
        match &announced {
            Ok(()) => metrics::counter!("limekiln_broker_announced_total").increment(1),
            Err(_) => metrics::counter!("limekiln_broker_announce_failures_total").increment(1),
        }
        announced
    }

    pub(crate) fn consume(&self, model: &ModelName, slots: u16) -> Result<Taker> {
        if self.hub.closed().is_cancelled() {
            return Err(Error::Closed);
        }
        Ok(Taker::new(
            self.queue(model),
            usize::from(slots) + 1,
            self.hub.closed().clone(),
        ))
    }

    pub(crate) fn wake(&self) {
        self.hub.wake();
    }

    pub(crate) fn stop(&self, stop: Stop) {
        self.hub.stop(stop);
    }

    pub(crate) fn live(&self, live: &Live) {
        if self.hub.is_watched(live.edit()) {
            self.hub.live(live.clone());
        }
    }

    pub(crate) fn watch(&self, edit: EditId) -> Subscription {
        let (receiver, _) = self.hub.watch(edit);
        Subscription::new(edit, Arc::clone(&self.hub), receiver)
    }

    pub(crate) fn depth(&self, model: &ModelName) -> Vec<Depth> {
        let queue = self.queue(model);
        Class::ALL
            .into_iter()
            .map(|class| Depth {
                queue: crate::hint::queue_name(model, class),
                class: Some(class),
                ready: queue.ready(class) as u64,
                consumers: queue.consumers() as u64,
            })
            .collect()
    }

    pub(crate) fn depth_dead(&self) -> Depth {
        Depth {
            queue: crate::hint::DEAD.to_owned(),
            class: None,
            ready: self.dead().len() as u64,
            consumers: 0,
        }
    }

    pub(crate) fn purge(&self, model: &ModelName) -> u64 {
        self.queue(model).purge() as u64
    }

    pub(crate) fn check(&self) -> Report {
        let dead = self.dead().len();
        Report {
            server: "in process".to_owned(),
            findings: vec![Finding {
                level: if dead < DEAD_LIMIT / 2 {
                    Level::Fine
                } else {
                    Level::Warning
                },
                subject: "dead letters",
                message: format!("{dead}, of at most {DEAD_LIMIT}"),
            }],
        }
    }

    fn queue(&self, model: &ModelName) -> Arc<Queue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(model) {
            return Arc::clone(queue);
        }
        let queue = Arc::new(Queue::new(model.clone(), Arc::clone(&self.dead)));
        queues.insert(model.clone(), Arc::clone(&queue));
        queue
    }

    fn dead(&self) -> MutexGuard<'_, VecDeque<Hint>> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
