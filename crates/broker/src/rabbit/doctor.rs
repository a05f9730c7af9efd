//! What `check` looks at.

use std::time::{Duration, Instant};

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
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
use super::link::{Link, Session};
use super::topology::{self, PROGRESS};
use crate::hint::{DEAD, DEAD_LIMIT, queue_name};
use crate::report::{Finding, Level};
use crate::{Error, Report, Result, Settings};

/// The oldest version that is tested.
const OLDEST: (u32, u32) = (3, 10);
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn check(settings: &Settings, link: &Link, models: &[ModelName]) -> Report {
    let mut findings = Vec::new();
    let server = match dial::uri(settings) {
        Ok(uri) => version(&uri, &mut findings).await,
        Err(error) => {
            findings.push(broken("address", &error));
            "unknown".to_owned()
        }
    };
    match link.session(settings.patience).await {
        Err(error) => findings.push(broken("connection", &error)),
        Ok(session) => {
            findings.push(match session.is_blocked() {
                true => broken("connection", &Error::Blocked),
                false => fine("connection", "open".to_owned()),
            });
            look(&session, models, &mut findings).await;
        }
    }
    Report { server, findings }
}

async fn look(session: &Session, models: &[ModelName], findings: &mut Vec<Finding>) {
    findings.push(match topology::declare(session).await {
        Ok(()) => fine("exchanges", "declared, and may be".to_owned()),
        Err(error) => broken("exchanges", &error),
    });
    for model in models {
        for class in Class::ALL {
            findings.push(queue(session, &queue_name(model, class)).await);
        }
    }
    findings.push(match topology::look(session, DEAD).await {
        Err(error) => broken("dead letters", &error),
        Ok(found) => {
            let dead = found.map_or(0, |(ready, _)| ready);
            let message = format!("{dead}, of at most {DEAD_LIMIT}");
            match dead < u64::from(DEAD_LIMIT) / 2 {
                true => fine("dead letters", message),
                false => warning(
                    "dead letters",
                    message + "; look at them and purge limekiln.dead",
                ),
            }
        }
    });
    let start = Instant::now();
    findings.push(match there_and_back(session).await {
        Ok(()) => fine(
            "message",
            format!("there and back in {:?}", start.elapsed()),
        ),
        Err(error) => broken("message", &error),
    });
}

/// Declares the queue, which fails when it exists with other properties, and tells how full it is.
async fn queue(session: &Session, name: &str) -> Finding {
    let looking = async {
        topology::declare_queue(session, name).await?;
        topology::look(session, name).await
    };
    match looking.await {
        Err(error) => broken("queues", &error),
        Ok(found) => {
            let (ready, consumers) = found.unwrap_or_default();
            let message = format!("{name}: quorum, {ready} waiting, {consumers} consumers");
            match consumers {
                0 if ready > 0 => warning("queues", message + "; start a worker for this model"),
                _ => fine("queues", message),
            }
        }
    }
}

/// Publishes to a queue of its own, confirmed, and reads it again.
async fn there_and_back(session: &Session) -> Result<()> {
    let channel = session.channel().await?;
    let name = format!("limekiln.probe.{}", Uuid::now_v7().simple());
    let options = QueueDeclareOptions::exclusive().auto_delete();
    let declaring = channel.queue_declare(name.as_str().into(), options, FieldTable::default());
    session.rpc(&name, declaring).await?;
    let binding = channel.queue_bind(
        name.as_str().into(),
        PROGRESS.into(),
        name.as_str().into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    session.rpc(&name, binding).await?;
    session
        .rpc(
            &name,
            channel.confirm_select(ConfirmSelectOptions::default()),
        )
        .await?;
    let options = BasicPublishOptions {
        mandatory: true,
        ..Default::default()
    };
    let publishing = async {
        let properties = BasicProperties::default();
        let confirm = channel.basic_publish(
            PROGRESS.into(),
            name.as_str().into(),
            options,
            b"probe",
            properties,
        );
        confirm.await?.await
    };
    if !matches!(
        session.rpc(&name, publishing).await?,
        Confirmation::Ack(None)
    ) {
        return Err(Error::Unroutable(name));
    }
    let reading = channel.basic_get(name.as_str().into(), BasicGetOptions { no_ack: true });
    let read = session.rpc(&name, reading).await?;
    if read.is_none_or(|message| message.delivery.data != b"probe") {
        return Err(Error::Unroutable(name));
    }
    topology::close(session, channel).await
}

async fn version(uri: &AMQPUri, findings: &mut Vec<Finding>) -> String {
    let greeting = match uri.scheme {
        // lapin does not tell what the server said of itself, so we ask once more, without TLS.
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
            findings.push(warning("version", format!("unknown: {why}")));
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
        Some(known) if known >= OLDEST => fine("version", format!("{product} {version}")),
        _ => warning(
            "version",
            format!(
                "{product} {version}; tested with RabbitMQ {}.{} to 4",
                OLDEST.0, OLDEST.1
            ),
        ),
    });
    format!("{product} {version}")
}

/// The server's first frame: `connection.start` with its properties.
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

/// A text of the properties: its name as a short string, `S`, its length, its bytes.
fn property(frame: &[u8], name: &str) -> Option<String> {
    let mut key = vec![u8::try_from(name.len()).ok()?];
    key.extend(name.as_bytes());
    key.push(b'S');
    let at = frame.windows(key.len()).position(|window| window == key)? + key.len();
    let length = u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?) as usize;
    let text = frame.get(at + 4..at + 4 + length)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn fine(subject: &'static str, message: String) -> Finding {
    Finding {
        level: Level::Fine,
        subject,
        message,
    }
}

fn warning(subject: &'static str, message: String) -> Finding {
    Finding {
        level: Level::Warning,
        subject,
        message,
    }
}

fn broken(subject: &'static str, error: &Error) -> Finding {
    Finding {
        level: Level::Broken,
        subject,
        message: error.to_string(),
    }
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
