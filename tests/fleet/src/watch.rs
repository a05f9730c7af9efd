//! A client that follows an edit's events: when the stream ends or breaks, it goes on at the other gateway from the last
//! event that it saw.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::client::Client;

/// No event nor comment for so long: the connection is dead.
const SILENCE: Duration = Duration::from_secs(20);

/// What was seen of an edit.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Events with a number, in order.
    pub events: Vec<Value>,
    /// Pictures on the way.
    pub previews: usize,
    /// Streams it took.
    pub streams: u32,
}

/// Follows an edit to its end. That its events came numbered 1, 2, 3.. and ended with the terminal one is checked on the way.
///
/// # Errors
///
/// When they did not, or no end came before `deadline`.
pub async fn follow(client: &Client, edit: Uuid, deadline: Duration) -> Result<Seen> {
    let end = Instant::now() + deadline;
    let mut seen = Seen::default();
    let mut last = anyhow::anyhow!("nothing tried");
    while Instant::now() < end {
        seen.streams += 1;
        match tokio::time::timeout_at(end, stream(client, edit, &mut seen)).await {
            Ok(Ok(true)) => return Ok(seen),
            Ok(Ok(false)) => {}
            Ok(Err(Broken::Connection(error))) => last = error,
            Ok(Err(Broken::Rules(error))) => {
                return Err(error).with_context(|| format!("events of {edit}"));
            }
            Err(_) => break,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!(
        "the stream of {edit} did not end within {deadline:?}; {} events seen in {} streams; {last:#}",
        seen.events.len(),
        seen.streams
    )
}

enum Broken {
    /// Try again.
    Connection(anyhow::Error),
    /// The server is wrong.
    Rules(anyhow::Error),
}

/// One stream; whether the terminal event came.
async fn stream(client: &Client, edit: Uuid, seen: &mut Seen) -> Result<bool, Broken> {
    let lost = |error: reqwest::Error| Broken::Connection(error.into());
    let mut request = client.request(Method::GET, &format!("/v1/edits/{edit}/events"));
    if !seen.events.is_empty() {
        request = request.header("last-event-id", seen.events.len().to_string());
    }
    let answer = timeout(
        Duration::from_secs(10),
        request.header("accept", "text/event-stream").send(),
    )
    .await
    .map_err(|_| Broken::Connection(anyhow::anyhow!("no answer")))?
    .map_err(lost)?
    .error_for_status()
    .map_err(lost)?;
    let mut body = answer.bytes_stream();
    let mut buffer = Vec::new();
    while let Some(piece) = timeout(SILENCE, body.next())
        .await
        .map_err(|_| Broken::Connection(anyhow::anyhow!("silence")))?
    {
        buffer.extend_from_slice(&piece.map_err(lost)?);
        while let Some(end) = buffer.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = buffer.drain(..end + 2).collect();
            if take(&String::from_utf8_lossy(&event), seen).map_err(Broken::Rules)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// One event; whether it is the terminal one.
fn take(text: &str, seen: &mut Seen) -> Result<bool> {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim_start)
    };
    let Some(kind) = field("event") else {
        return Ok(false);
    };
    if kind == "preview" {
        ensure!(field("id").is_none(), "a preview has a number");
        seen.previews += 1;
        return Ok(false);
    }
    let number: u64 = field("id")
        .with_context(|| format!("an event without a number: {text}"))?
        .parse()?;
    let expected = seen.events.len() as u64 + 1;
    ensure!(
        number == expected,
        "event {number} came where {expected} was due"
    );
    let event: Value = serde_json::from_str(field("data").context("an event without data")?)?;
    ensure!(
        event["seq"] == number && event["kind"] == kind,
        "the event is {event}, its frame says {kind} {number}"
    );
    seen.events.push(event);
    Ok(matches!(kind, "succeeded" | "failed" | "cancelled"))
}
