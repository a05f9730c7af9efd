//! The gateway's API as the command uses it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

/// How long a connection may take to be made, and an answer to begin.
const CONNECT: Duration = Duration::from_secs(10);
const READ: Duration = Duration::from_secs(60);
/// Tries of one request, as long as the gateway can't be reached or is overloaded.
const TRIES: u32 = 6;
/// The largest event that is read.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// A gateway and a key.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
}

impl Client {
    /// # Errors
    ///
    /// For a URL or key that can't be sent.
    pub(crate) fn new(base: &Url, key: &str) -> Result<Self> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}"))
            .context("--key: has characters that no key has")?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([(reqwest::header::AUTHORIZATION, bearer)]);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT)
            .read_timeout(READ)
            .build()?;
        if base.cannot_be_a_base() {
            bail!("--url: {base}: is no address of a gateway; it looks like http://127.0.0.1:8080");
        }
        Ok(Self {
            http,
            base: base.clone(),
        })
    }

    fn url(&self, path: &str) -> Result<Url> {
        let base = self.base.as_str().trim_end_matches('/');
        Ok(Url::parse(&format!("{base}{path}"))?)
    }

    /// Uploads an image file and returns its id.
    ///
    /// # Errors
    ///
    /// What the gateway says about it.
    pub(crate) async fn image(&self, bytes: &[u8]) -> Result<String> {
        let url = self.url("/v1/images")?;
        let answer = self
            .send(|| {
                self.http
                    .post(url.clone())
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .body(bytes.to_vec())
            })
            .await?;
        let image: Value = answer.json().await?;
        Ok(text(&image, "id")?.to_owned())
    }

    /// Submits an edit, once however often it is tried.
    ///
    /// # Errors
    ///
    /// What the gateway says about it.
    pub(crate) async fn edit(&self, request: &Value) -> Result<Value> {
        let url = self.url("/v1/edits")?;
        let key = Uuid::now_v7().to_string();
        let answer = self
            .send(|| {
                self.http
                    .post(url.clone())
                    .header("idempotency-key", &key)
                    .json(request)
            })
            .await?;
        Ok(answer.json().await?)
    }

    /// Reads JSON or a file from `path`.
    ///
    /// # Errors
    ///
    /// What the gateway says.
    pub(crate) async fn get(&self, path: &str) -> Result<Response> {
        let url = self.url(path)?;
        self.send(|| self.http.get(url.clone())).await
    }

    /// Follows an edit's events until the one that ends it; goes on after a lost connection.
    ///
    /// # Errors
    ///
    /// What the gateway says; when it stays out of reach.
    pub(crate) async fn events(
        &self,
        edit: &str,
        mut watch: impl FnMut(&str, &Value),
    ) -> Result<()> {
        let url = self.url(&format!("/v1/edits/{edit}/events"))?;
        let mut last = None;
        loop {
            let answer = self
                .send(|| {
                    let request = self
                        .http
                        .get(url.clone())
                        .header(ACCEPT, "text/event-stream");
                    match &last {
                        Some(id) => request.header("last-event-id", id),
                        None => request,
                    }
                })
                .await?;
            let mut events = Events::default();
            let mut chunks = answer.bytes_stream();
            // A chunk that fails is a lost connection: ask again from the last event.
            while let Some(Ok(chunk)) = chunks.next().await {
                for event in events.push(&chunk)? {
                    if let Some(id) = event.id {
                        last = Some(id);
                    }
                    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
                    watch(&event.kind, &data);
                    if matches!(event.kind.as_str(), "succeeded" | "failed" | "cancelled") {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Sends a request, again as long as trying again makes sense.
    async fn send(&self, request: impl Fn() -> reqwest::RequestBuilder) -> Result<Response> {
        let mut wait = Duration::from_millis(250);
        for attempt in 1.. {
            let outcome = request().send().await;
            let again = match &outcome {
                Ok(answer) => matches!(
                    answer.status(),
                    StatusCode::TOO_MANY_REQUESTS
                        | StatusCode::BAD_GATEWAY
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::GATEWAY_TIMEOUT
                ),
                Err(error) => !error.is_builder(),
            };
            if !again || attempt == TRIES {
                let answer = outcome.with_context(|| format!("{} can't be reached", self.base))?;
                return refuse(answer).await;
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        bail!("{} can't be reached", self.base)
    }
}

/// A problem document as an error of one line.
async fn refuse(answer: Response) -> Result<Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let problem: Value = answer.json().await.unwrap_or_default();
    let field = |name: &str| {
        problem
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let detail = [field("detail"), field("title")]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or("the gateway gave no reason");
    let faults: Vec<String> = problem
        .get("errors")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|fault| {
            Some(format!(
                "{}: {}",
                text(fault, "field").ok()?,
                text(fault, "message").ok()?
            ))
        })
        .collect();
    let advice = match status {
        StatusCode::UNAUTHORIZED => {
            "; give a key that `limekiln keys create` or `limekiln dev` printed"
        }
        _ => "",
    };
    let faults = if faults.is_empty() {
        String::new()
    } else {
        format!(" ({})", faults.join("; "))
    };
    bail!(
        "{detail}{faults}{advice} [{} {}]",
        status.as_u16(),
        field("code")
    )
}

/// A text field of an answer.
pub(crate) fn text<'a>(answer: &'a Value, field: &str) -> Result<&'a str> {
    answer
        .get(field)
        .and_then(Value::as_str)
        .with_context(|| format!("the answer has no {field}: is this a Limekiln gateway?"))
}

/// One server-sent event.
#[derive(Debug, Default, PartialEq)]
struct Event {
    id: Option<String>,
    kind: String,
    data: String,
}

/// Server-sent events out of chunks.
#[derive(Default)]
struct Events {
    line: Vec<u8>,
    event: Event,
}

impl Events {
    fn push(&mut self, chunk: &[u8]) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for &byte in chunk {
            if byte != b'\n' {
                self.line.push(byte);
                if self.line.len() + self.event.data.len() > EVENT_BYTES_MAX {
                    bail!("the gateway sent an event of more than {EVENT_BYTES_MAX} bytes");
                }
                continue;
            }
            let line = String::from_utf8_lossy(&self.line).into_owned();
            self.line.clear();
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if !event.data.is_empty() || !event.kind.is_empty() {
                    events.push(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => self.event.id = Some(value.to_owned()),
                "event" => value.clone_into(&mut self.event.kind),
                "data" => {
                    if !self.event.data.is_empty() {
                        self.event.data.push('\n');
                    }
                    self.event.data.push_str(value);
                }
                _ => {}
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let stream = b": hello\n\nid: 3\nevent: progress\ndata: {\"a\":\ndata: 1}\n\nevent: preview\ndata: x\r\n\r\n";
        let whole = Events::default().push(stream).unwrap();
        assert_eq!(whole.len(), 2);
        assert_eq!(whole[0].id.as_deref(), Some("3"));
        assert_eq!(
            (whole[0].kind.as_str(), whole[0].data.as_str()),
            ("progress", "{\"a\":\n1}")
        );
        assert_eq!(
            (whole[1].id.as_deref(), whole[1].data.as_str()),
            (None, "x")
        );
        for size in 1..stream.len() {
            let mut events = Events::default();
            let cut: Vec<Event> = stream
                .chunks(size)
                .flat_map(|chunk| events.push(chunk).unwrap())
                .collect();
            assert_eq!(cut, whole);
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut events = Events::default();
        let outcome = (0..1025).try_for_each(|_| events.push(&[b'x'; 1024]).map(drop));
        assert!(outcome.is_err());
    }
}
