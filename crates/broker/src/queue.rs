//! The queues of edits: their names, limits and depth, the same on both backends.

use limekiln_jobs::{Class, ModelName};
use serde::Serialize;

/// How often a message may come back to its queue before it becomes a dead letter.
pub(crate) const DELIVERY_LIMIT: u32 = 20;
/// How many messages one queue holds. The coordinator releases far fewer; the limit stops one that runs away.
pub(crate) const QUEUE_LIMIT: u32 = 100_000;
/// How many dead letters are kept. Beyond that the oldest are dropped.
pub(crate) const DEAD_LIMIT: u32 = 10_000;
/// The name of both the exchange and the queue of dead letters.
pub(crate) const DEAD: &str = "limekiln.dead";

/// A queue of edits: those of one model and class, for all workers or for the workers of one cohort.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Queue {
    pub(crate) name: String,
    /// Whether only the workers of one cohort read it. Such a queue goes when nobody has read it for long.
    pub(crate) of_cohort: bool,
}

impl Queue {
    pub(crate) fn new(model: &ModelName, class: Class, cohort: Option<&str>) -> Self {
        // Queues of classes that newer versions brought are not declared here.
        let class = match class {
            Class::Other(_) => Class::Bulk,
            known => known,
        };
        let name = format!("limekiln.edits.{model}.{class}");
        Self {
            name: match cohort {
                Some(cohort) => format!("{name}.{cohort}"),
                None => name,
            },
            of_cohort: cohort.is_some(),
        }
    }
}

/// How full one queue is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// The queue's name.
    pub queue: String,
    /// The class of the queue's edits. The dead-letter queue has none.
    pub class: Option<Class>,
    /// How many messages wait. Messages that were delivered and not acked yet are not counted.
    pub ready: u64,
    /// How many consumers are attached: workers with a free slot.
    pub consumers: u64,
}
