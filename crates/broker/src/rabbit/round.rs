//! One round of publishes to one queue: mandatory, confirmed, all at once.
//!
//! lapin attaches a message that RabbitMQ returned to whichever confirm comes next. So each message carries a number, and
//! only a complete round tells which of them were returned.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::time::{Instant, timeout_at};

use super::topology::EDITS;

/// An encoded hint.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) body: Vec<u8>,
    pub(super) trace: Option<String>,
    /// Until when the message may wait for a lost connection to be restored.
    pub(super) connect_by: Instant,
}

/// What became of one publish.
pub(super) enum Outcome {
    Confirmed,
    /// No queue took the message.
    Returned,
    Refused,
    Unconfirmed,
    /// The channel ended.
    Lost(lapin::Error),
}

/// Publishes messages to a queue, numbered from `first_id`, and waits for their confirms until `limit`. Returns the
/// outcomes in the order of the messages, and whether all confirms came in time.
pub(super) async fn publish_round(
    channel: &Channel,
    queue: &str,
    messages: &[&Message],
    first_id: u64,
    limit: Duration,
) -> (Vec<Outcome>, bool) {
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let mut publishing: FuturesUnordered<_> = messages
        .iter()
        .enumerate()
        .map(async |(nth, message)| {
            let properties = properties(message, first_id + nth as u64);
            let (exchange, key) = (EDITS.into(), queue.into());
            let publishing =
                channel.basic_publish(exchange, key, options, &message.body, properties);
            let confirmed = async { publishing.await?.await };
            (nth, confirmed.await)
        })
        .collect();
    let mut outcomes: Vec<_> = messages.iter().map(|_| Outcome::Unconfirmed).collect();
    let mut returned = Vec::new();
    let deadline = Instant::now() + limit;
    let in_time = loop {
        let (nth, confirmation) = match timeout_at(deadline, publishing.next()).await {
            Ok(Some(confirmed)) => confirmed,
            Ok(None) => break true,
            Err(_) => break false,
        };
        outcomes[nth] = match confirmation {
            Err(error) => Outcome::Lost(error),
            Ok(confirmation) => {
                let outcome = match &confirmation {
                    Confirmation::Nack(_) => Outcome::Refused,
                    Confirmation::Ack(_) | Confirmation::NotRequested => Outcome::Confirmed,
                };
                returned.extend(confirmation.take_message());
                outcome
            }
        };
    };
    for message in returned {
        let id = message.delivery.properties.message_id().as_ref();
        let nth = id
            .and_then(|id| id.as_str().parse::<u64>().ok())
            .and_then(|id| usize::try_from(id.checked_sub(first_id)?).ok());
        if let Some(outcome) = nth.and_then(|nth| outcomes.get_mut(nth)) {
            *outcome = Outcome::Returned;
        }
    }
    (outcomes, in_time)
}

fn properties(message: &Message, id: u64) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(id.to_string().into());
    match &message.trace {
        None => properties,
        Some(trace) => {
            let mut headers = FieldTable::default();
            headers.insert(
                "traceparent".into(),
                AMQPValue::LongString(trace.as_str().into()),
            );
            properties.with_headers(headers)
        }
    }
}
