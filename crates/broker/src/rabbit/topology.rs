//! Exchanges and queues. Declaring what exists is harmless; what exists with other properties is an error that says so.

use std::time::Duration;

use lapin::options::{
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};
use limekiln_jobs::{Class, ModelName};

use super::link::{Link, Session};
use crate::Result;
use crate::hint::{DEAD, DEAD_LIMIT, DELIVERY_LIMIT, QUEUE_LIMIT, queue_name};

/// Edits to do. A queue is bound under its own name.
pub(super) const EDITS: &str = "limekiln.edits";
/// Live progress, `edit.<id>`.
pub(super) const PROGRESS: &str = "limekiln.progress";
/// Wakes to coordinators.
pub(super) const WAKE: &str = "limekiln.wake";
/// Stops to workers.
pub(super) const STOP: &str = "limekiln.stop";

const DELETE_TIMEOUT: Duration = Duration::from_secs(30);

/// Declares what does not depend on a model.
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
    let mut arguments = table(&[("x-queue-type", "quorum"), ("x-overflow", "drop-head")]);
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(DEAD_LIMIT as i32));
    queue_declare(session, &channel, DEAD, arguments).await?;
    queue_bind(session, &channel, DEAD, DEAD, "").await?;
    close(session, channel).await
}

/// Declares the queues of a model.
pub(super) async fn declare_model(
    link: &Link,
    patience: Duration,
    model: &ModelName,
) -> Result<()> {
    let session = link.session(patience).await?;
    for class in Class::ALL {
        declare_queue(&session, &queue_name(model, class)).await?;
    }
    Ok(())
}

/// Declares one queue of edits.
pub(super) async fn declare_queue(session: &Session, name: &str) -> Result<()> {
    let channel = session.channel().await?;
    let mut arguments = table(&[
        ("x-queue-type", "quorum"),
        ("x-dead-letter-exchange", DEAD),
        // A full queue says so to the publisher; the default would bury the oldest edits.
        ("x-overflow", "reject-publish"),
    ]);
    arguments.insert(
        "x-delivery-limit".into(),
        AMQPValue::LongInt(DELIVERY_LIMIT as i32),
    );
    arguments.insert(
        "x-max-length".into(),
        AMQPValue::LongInt(QUEUE_LIMIT as i32),
    );
    queue_declare(session, &channel, name, arguments).await?;
    queue_bind(session, &channel, name, EDITS, name).await?;
    close(session, channel).await
}

/// Deletes a queue with what is in it. One that is not there is no error to RabbitMQ; one without a leader takes it long.
pub(super) async fn delete_queue(session: &Session, name: &str, patience: Duration) -> Result<()> {
    let channel = session.channel().await?;
    let deleting = channel.queue_delete(name.into(), QueueDeleteOptions::default());
    session
        .rpc_within(name, deleting, patience.max(DELETE_TIMEOUT))
        .await?;
    close(session, channel).await
}

/// Messages ready and consumers of a queue; none when there is no such queue.
pub(super) async fn look(session: &Session, name: &str) -> Result<Option<(u64, u64)>> {
    let channel = session.channel().await?;
    let options = QueueDeclareOptions::default().passive();
    let looking = channel.queue_declare(name.into(), options, FieldTable::default());
    match session.rpc(name, looking).await {
        Ok(queue) => {
            let found = (queue.message_count().into(), queue.consumer_count().into());
            close(session, channel).await?;
            Ok(Some(found))
        }
        // The broker has closed the channel, and that is all.
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn queue_declare(
    session: &Session,
    channel: &Channel,
    name: &str,
    arguments: FieldTable,
) -> Result<()> {
    let declaring = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments);
    session.rpc(name, declaring).await?;
    Ok(())
}

async fn queue_bind(
    session: &Session,
    channel: &Channel,
    queue: &str,
    exchange: &str,
    key: &str,
) -> Result<()> {
    let binding = channel.queue_bind(
        queue.into(),
        exchange.into(),
        key.into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    session.rpc(queue, binding).await
}

/// Closes a channel that has done its work.
pub(super) async fn close(session: &Session, channel: Channel) -> Result<()> {
    session
        .rpc("channel", channel.close(200, "done".into()))
        .await
}

fn table(entries: &[(&str, &str)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), AMQPValue::LongString((*value).into()));
    }
    table
}
