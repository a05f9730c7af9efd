//! Exchanges and queues. Declaring one that exists is harmless; one that exists with other properties is an error that
//! names it.

use std::time::Duration;

use lapin::options::{
    BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer, ExchangeKind};
use limekiln_jobs::WorkerId;
use limekiln_jobs::retry::Policy;
use tokio::time::{Instant, sleep};

use super::session::Session;
use crate::queue::{DEAD, DEAD_LIMIT, DELIVERY_LIMIT, QUEUE_LIMIT, Queue};
use crate::{Error, Followed, Result};

/// How long the queue of a cohort is kept that nobody reads: its workers were replaced. What was in it is announced again.
const COHORT_EXPIRES_MS: u32 = 24 * 3600 * 1000;
/// The exchange of edits to do. Each queue is bound under its own name.
pub(super) const EDITS: &str = "limekiln.edits";
/// The exchange of live progress, and of offers.
pub(super) const PROGRESS: &str = "limekiln.progress";
/// The exchange of wakes to coordinators.
pub(super) const WAKE: &str = "limekiln.wake";
/// The exchange of stops to workers.
pub(super) const STOP: &str = "limekiln.stop";

/// Begins the names of queues that say that another is being declared.
const DECLARING: &str = "limekiln.declaring";
/// Between two looks whether somebody else is done with declaring a queue, which takes some milliseconds.
const PAUSES: Policy = Policy::new(Duration::from_millis(10), Duration::from_millis(100));

/// The routing key of live progress.
pub(super) fn progress_key(followed: Followed) -> String {
    match followed {
        Followed::Edit(edit) => format!("edit.{edit}"),
        Followed::Session(session) => format!("session.{session}"),
    }
}

/// The routing key of what is offered to a worker.
pub(super) fn worker_key(worker: WorkerId) -> String {
    format!("worker.{worker}")
}

/// The worker that an offer is for.
pub(super) fn offered(key: &str) -> Option<WorkerId> {
    key.strip_prefix("worker.")?.parse().ok()
}

/// Whose progress comes under a routing key.
pub(super) fn followed(key: &str) -> Option<Followed> {
    match key.split_once('.')? {
        ("edit", id) => id.parse().ok().map(Followed::Edit),
        ("session", id) => id.parse().ok().map(Followed::Session),
        _ => None,
    }
}

/// Declares the exchanges and the dead-letter queue, which do not depend on a model.
pub(super) async fn declare(session: &Session) -> Result<()> {
    let channel = session.channel().await?;
    for (name, kind) in [
        (EDITS, ExchangeKind::Direct),
        (PROGRESS, ExchangeKind::Topic),
        (WAKE, ExchangeKind::Fanout),
        (STOP, ExchangeKind::Fanout),
        (DEAD, ExchangeKind::Fanout),
    ] {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let declaring = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
        session.rpc(name, declaring).await?;
    }
    let arguments = table([
        ("x-queue-type", text("quorum")),
        ("x-overflow", text("drop-head")),
        ("x-max-length", number(DEAD_LIMIT)),
    ]);
    queue_declare(
        session,
        &channel,
        DEAD,
        QueueDeclareOptions::durable(),
        arguments,
    )
    .await?;
    queue_bind(session, &channel, DEAD, DEAD, "").await?;
    session.close(channel).await
}

/// Declares one queue of edits. It runs when this returns.
pub(super) async fn declare_queue(session: &Session, queue: &Queue) -> Result<()> {
    let alone = alone(session, &queue.name).await?;
    let channel = session.channel().await?;
    let name = &queue.name;
    let mut arguments = table([
        ("x-queue-type", text("quorum")),
        ("x-dead-letter-exchange", text(DEAD)),
        // A full queue refuses new messages; by default it would turn the oldest edits into dead letters.
        ("x-overflow", text("reject-publish")),
        ("x-delivery-limit", number(DELIVERY_LIMIT)),
        ("x-max-length", number(QUEUE_LIMIT)),
    ]);
    if queue.of_cohort {
        arguments.insert("x-expires".into(), number(COHORT_EXPIRES_MS));
    }
    queue_declare(
        session,
        &channel,
        name,
        QueueDeclareOptions::durable(),
        arguments,
    )
    .await?;
    queue_bind(session, &channel, name, EDITS, name).await?;
    session.close(channel).await?;
    match alone {
        Some(Alone { channel, .. }) => session.close(channel).await,
        None => Ok(()),
    }
}

/// Nobody else declares a certain queue while this channel is open.
struct Alone {
    channel: Channel,
    _consumer: Consumer,
}

/// Waits until nobody else, in any process, declares the queue; none where it is known to run.
///
/// RabbitMQ 3.10 answers all but the first who declare a new quorum queue at once before it runs, and closes the connection
/// of whoever consumes from it then (`INTERNAL_ERROR`). The lock is an exclusive consumer of a queue that goes with it, so it ends
/// with its channel, however that ends.
async fn alone(session: &Session, name: &str) -> Result<Option<Alone>> {
    let lock = format!("{DECLARING}.{name}");
    let until = Instant::now() + session.timeout;
    let mut pauses = PAUSES.start();
    loop {
        let found = inspect_queue(session, name).await?;
        if found.is_some_and(|(ready, consumers)| ready + consumers > 0) {
            return Ok(None);
        }
        let channel = session.channel().await?;
        match consume_alone(session, &channel, &lock).await {
            Ok(_consumer) => return Ok(Some(Alone { channel, _consumer })),
            // Somebody has it, or let go of it between the declaration and the consumer.
            Err(error) if matches!(error, Error::Denied(_)) || error.is_missing() => {}
            Err(error) => return Err(error),
        }
        if Instant::now() > until {
            tracing::warn!(
                queue = name,
                "somebody has been declaring it for long; not waiting any more"
            );
            return Ok(None);
        }
        sleep(pauses.delay()).await;
    }
}

async fn consume_alone(session: &Session, channel: &Channel, lock: &str) -> Result<Consumer> {
    let options = QueueDeclareOptions {
        auto_delete: true,
        ..QueueDeclareOptions::durable()
    };
    let arguments = table([("x-queue-type", text("classic"))]);
    queue_declare(session, channel, lock, options, arguments).await?;
    let options = BasicConsumeOptions {
        exclusive: true,
        ..Default::default()
    };
    let consuming = channel.basic_consume(lock.into(), "".into(), options, FieldTable::default());
    session.rpc(lock, consuming).await
}

/// Deletes a queue with what is in it. RabbitMQ takes one that is absent for deleted.
pub(super) async fn delete_queue(session: &Session, name: &str, limit: Duration) -> Result<()> {
    let channel = session.channel().await?;
    let deleting = channel.queue_delete(name.into(), QueueDeleteOptions::default());
    session.rpc_within(name, deleting, limit).await?;
    session.close(channel).await
}

/// Empties a queue, which must exist. Returns how many messages were in it.
pub(super) async fn purge_queue(session: &Session, name: &str) -> Result<u64> {
    let channel = session.channel().await?;
    let purging = channel.queue_purge(name.into(), QueuePurgeOptions::default());
    let purged = session.rpc(name, purging).await?;
    session.close(channel).await?;
    Ok(purged.into())
}

/// How many messages are ready in a queue, and how many consumers it has. None when there is no such queue.
pub(super) async fn inspect_queue(session: &Session, name: &str) -> Result<Option<(u64, u64)>> {
    let channel = session.channel().await?;
    let options = QueueDeclareOptions::default().passive();
    match queue_declare(session, &channel, name, options, FieldTable::default()).await {
        Ok(queue) => {
            let found = (queue.message_count().into(), queue.consumer_count().into());
            session.close(channel).await?;
            Ok(Some(found))
        }
        // RabbitMQ has closed the channel over it.
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Declares a queue on an open channel.
pub(super) async fn queue_declare(
    session: &Session,
    channel: &Channel,
    name: &str,
    options: QueueDeclareOptions,
    arguments: FieldTable,
) -> Result<lapin::Queue> {
    let declaring = channel.queue_declare(name.into(), options, arguments);
    session.rpc(name, declaring).await
}

/// Binds a queue to an exchange on an open channel.
pub(super) async fn queue_bind(
    session: &Session,
    channel: &Channel,
    name: &str,
    exchange: &str,
    key: &str,
) -> Result<()> {
    let options = QueueBindOptions::default();
    let arguments = FieldTable::default();
    let binding = channel.queue_bind(name.into(), exchange.into(), key.into(), options, arguments);
    session.rpc(name, binding).await
}

/// Consumes from a queue on an open channel, with manual acks.
pub(super) async fn queue_consume(
    session: &Session,
    channel: &Channel,
    name: &str,
) -> Result<Consumer> {
    let (options, arguments) = Default::default();
    let consuming = channel.basic_consume(name.into(), "".into(), options, arguments);
    session.rpc(name, consuming).await
}

fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn number(value: u32) -> AMQPValue {
    AMQPValue::LongInt(value as i32)
}
