//! This process's own queue of live messages and signals, and the topics to which it is bound.

use std::collections::HashSet;

use futures_util::future::try_join_all;
use lapin::options::{BasicQosOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use limekiln_jobs::WorkerId;
use uuid::Uuid;

use super::session::Session;
use super::topology::{self, PROGRESS, STOP, WAKE, progress_key, worker_key};
use crate::{Followed, Result};

/// How many messages RabbitMQ sends ahead of our acks.
pub(super) const PREFETCH: u16 = 1024;
/// How many messages RabbitMQ keeps for a slow process. Beyond that the oldest are dropped.
const QUEUE_LENGTH: i32 = 20_000;
/// How many bindings are made at once.
const ROUND: usize = 256;

/// What a process can listen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// The live progress of an edit or a session.
    Live(Followed),
    Wakes,
    Stops,
    /// What is offered to one worker.
    Offers(WorkerId),
}

impl Topic {
    /// The exchange and the routing key of the topic's messages.
    fn binding(self) -> (&'static str, String) {
        match self {
            Self::Live(followed) => (PROGRESS, progress_key(followed)),
            Self::Wakes => (WAKE, String::new()),
            Self::Stops => (STOP, String::new()),
            Self::Offers(worker) => (PROGRESS, worker_key(worker)),
        }
    }
}

/// The queue of one session: exclusive, and deleted with its connection.
pub(super) struct Bindings<'a> {
    session: &'a Session,
    pub(super) channel: Channel,
    queue: String,
    bound: HashSet<Topic>,
}

impl<'a> Bindings<'a> {
    pub(super) async fn declare(session: &'a Session) -> Result<Self> {
        let channel = session.channel().await?;
        // Each session has a queue with a name of its own: RabbitMQ may still hold the last connection for alive, and
        // keep that connection's queue locked.
        let queue = format!("limekiln.inbox.{}", Uuid::now_v7().simple());
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(QUEUE_LENGTH));
        let options = QueueDeclareOptions::exclusive().auto_delete();
        topology::queue_declare(session, &channel, &queue, options, arguments).await?;
        let limiting = channel.basic_qos(PREFETCH, BasicQosOptions::default());
        session.rpc(&queue, limiting).await?;
        Ok(Self {
            session,
            channel,
            queue,
            bound: HashSet::new(),
        })
    }

    pub(super) async fn consume(&self) -> Result<Consumer> {
        topology::queue_consume(self.session, &self.channel, &self.queue).await
    }

    pub(super) async fn bind(&mut self, mut topics: Vec<Topic>) -> Result<()> {
        topics.retain(|topic| !self.bound.contains(topic));
        for some in topics.chunks(ROUND) {
            let binding = try_join_all(some.iter().map(|topic| {
                let (exchange, key) = topic.binding();
                let (queue, options) = (self.queue.as_str().into(), QueueBindOptions::default());
                let arguments = FieldTable::default();
                self.channel
                    .queue_bind(queue, exchange.into(), key.into(), options, arguments)
            }));
            self.session.rpc(&self.queue, binding).await?;
            self.bound.extend(some);
        }
        Ok(())
    }

    pub(super) async fn unbind(&mut self, mut topics: Vec<Topic>) -> Result<()> {
        topics.retain(|topic| self.bound.contains(topic));
        for some in topics.chunks(ROUND) {
            let unbinding = try_join_all(some.iter().map(|topic| {
                let (exchange, key) = topic.binding();
                let (queue, arguments) = (self.queue.as_str().into(), FieldTable::default());
                self.channel
                    .queue_unbind(queue, exchange.into(), key.into(), arguments)
            }));
            self.session.rpc(&self.queue, unbinding).await?;
            for topic in some {
                self.bound.remove(topic);
            }
        }
        Ok(())
    }
}
