//! The checks of `limekiln doctor`.

use std::time::{Duration, Instant};

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{BasicProperties, Confirmation};
use limekiln_jobs::{Class, ModelName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

use super::dial;
use super::link::Link;
use super::session::Session;
use super::topology::{self, PROGRESS};
use crate::queue::{DEAD, DEAD_LIMIT, Queue};
use crate::{Error, Finding, HealthReport, Result, Settings};

/// The oldest version of RabbitMQ that is tested.
const OLDEST: (u32, u32) = (3, 10);
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn check(settings: &Settings, link: &Link, models: &[ModelName]) -> HealthReport {
    let mut findings = Vec::new();
    let server = match dial::uri(settings) {
        Ok(uri) => version(&uri, &mut findings).await,
        Err(error) => {
            findings.push(Finding::broken("address", &error));
            "unknown".to_owned()
        }
    };
    match link.session(settings.reconnect_timeout).await {
        Err(error) => findings.push(Finding::broken("connection", &error)),
        Ok(session) => {
            findings.push(match session.blocked() {
                Some(reason) => Finding::broken("connection", &Error::Blocked(reason)),
                None => Finding::fine("connection", "open"),
            });
            check_session(&session, models, &mut findings).await;
        }
    }
    HealthReport { server, findings }
}

async fn check_session(session: &Session, models: &[ModelName], findings: &mut Vec<Finding>) {
    findings.push(match topology::declare(session).await {
        Ok(()) => Finding::fine("exchanges", "declared, and may be"),
        Err(error) => Finding::broken("exchanges", &error),
    });
    for model in models {
        for class in Class::ALL {
            findings.push(check_queue(session, &Queue::new(model, class, None)).await);
        }
    }
    findings.push(match topology::inspect_queue(session, DEAD).await {
        Err(error) => Finding::broken("dead letters", &error),
        Ok(found) => {
            let dead = found.map_or(0, |(ready, _)| ready);
            let message = format!("{dead}, of at most {DEAD_LIMIT}");
            match dead < u64::from(DEAD_LIMIT) / 2 {
                true => Finding::fine("dead letters", message),
                false => Finding::warning(
                    "dead letters",
                    message + "; look at them and purge limekiln.dead",
                ),
            }
        }
    });
    let start = Instant::now();
    findings.push(match round_trip(session).await {
        Ok(()) => Finding::fine(
            "message",
            format!("there and back in {:?}", start.elapsed()),
        ),
        Err(error) => Finding::broken("message", &error),
    });
}

/// Declares the queue, which fails when it exists with other properties, and tells how full the queue is.
async fn check_queue(session: &Session, queue: &Queue) -> Finding {
    let name = &queue.name;
    let looking = async {
        topology::declare_queue(session, queue).await?;
        topology::inspect_queue(session, name).await
    };
    match looking.await {
        Err(error) => Finding::broken("queues", &error),
        Ok(found) => {
            let (ready, consumers) = found.unwrap_or_default();
            // Who is busy reads nothing.
            let message = format!("{name}: quorum, {ready} waiting, {consumers} idle workers");
            Finding::fine("queues", message)
        }
    }
}

/// Publishes a message to a queue made for it, with a confirm, and reads the message again.
async fn round_trip(session: &Session) -> Result<()> {
    let channel = session.channel().await?;
    let name = format!("limekiln.probe.{}", Uuid::now_v7().simple());
    let options = QueueDeclareOptions::exclusive().auto_delete();
    topology::queue_declare(session, &channel, &name, options, FieldTable::default()).await?;
    topology::queue_bind(session, &channel, &name, PROGRESS, &name).await?;
    let selecting = channel.confirm_select(ConfirmSelectOptions::default());
    session.rpc(&name, selecting).await?;
    let options = BasicPublishOptions {
        mandatory: true,
        ..Default::default()
    };
    let publishing = async {
        let (exchange, key) = (PROGRESS.into(), name.as_str().into());
        let properties = BasicProperties::default();
        let confirm = channel.basic_publish(exchange, key, options, b"probe", properties);
        confirm.await?.await
    };
    let confirmed = session.rpc(&name, publishing).await?;
    if !matches!(confirmed, Confirmation::Ack(None)) {
        return Err(Error::Unroutable(name));
    }
    let reading = channel.basic_get(name.as_str().into(), BasicGetOptions { no_ack: true });
    let read = session.rpc(&name, reading).await?;
    if read.is_none_or(|message| message.delivery.data != b"probe") {
        return Err(Error::Unroutable(name));
    }
    session.close(channel).await
}

async fn version(uri: &AMQPUri, findings: &mut Vec<Finding>) -> String {
    let greeting = match uri.scheme {
        // lapin keeps the server's properties to itself, so a second connection reads them. It has no TLS.
        AMQPScheme::AMQPS => Err(None),
        AMQPScheme::AMQP => timeout(TIMEOUT, greeting(uri))
            .await
            .map_err(|_| None)
            .and_then(|got| got.map_err(Some)),
    };
    let greeting = match greeting {
        Ok(greeting) => greeting,
        Err(error) => {
            let why = error.map_or_else(
                || "not asked over TLS".to_owned(),
                |error| error.to_string(),
            );
            findings.push(Finding::warning("version", format!("unknown: {why}")));
            return "unknown".to_owned();
        }
    };
    let product = property(&greeting, "product").unwrap_or_else(|| "unknown product".to_owned());
    let version = property(&greeting, "version").unwrap_or_else(|| "unknown version".to_owned());
    let mut numbers = version
        .split('.')
        .map_while(|number| number.parse::<u32>().ok());
    let known = numbers.next().zip(numbers.next());
    findings.push(match known {
        Some(known) if known >= OLDEST => Finding::fine("version", format!("{product} {version}")),
        _ => Finding::warning(
            "version",
            format!(
                "{product} {version}; tested with RabbitMQ {}.{} to 4",
                OLDEST.0, OLDEST.1
            ),
        ),
    });
    format!("{product} {version}")
}

/// Reads the server's first frame: `connection.start` with the server's properties.
async fn greeting(uri: &AMQPUri) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((uri.authority.host.as_str(), uri.authority.port)).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    let mut header = [0; 7];
    stream.read_exact(&mut header).await?;
    let size = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
    let mut frame = vec![0; size.min(64 << 10) as usize];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Reads a text among the properties of a frame: the name as a short string, `S`, the length in 4 bytes, the text.
fn property(frame: &[u8], name: &str) -> Option<String> {
    let mut key = vec![u8::try_from(name.len()).ok()?];
    key.extend(name.as_bytes());
    key.push(b'S');
    let at = frame.windows(key.len()).position(|window| window == key)? + key.len();
    let length = u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?) as usize;
    let text = frame.get(at + 4..at + 4 + length)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_of_a_greeting() {
        let frame = b"\0\x0a\0\x0a\0\x09\0\0\0\x40\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8";
        assert_eq!(property(frame, "product").as_deref(), Some("RabbitMQ"));
        assert_eq!(property(frame, "version").as_deref(), Some("3.10.8"));
        assert_eq!(property(frame, "platform"), None);
        assert_eq!(property(b"\x07versionS\0\0\xff\xff3", "version"), None);
    }
}
