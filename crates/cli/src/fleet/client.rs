//! The gateway's API as the command uses it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::StreamExt;
use limekiln_jobs::api::{AcceptedEdit, ImageView, Invalid, ProblemDocument};
use limekiln_jobs::retry::Policy;
use limekiln_jobs::{ArtifactKind, EditEvent, EditId, EditRequest, EditView};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;
use uuid::Uuid;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may pause.
const READ: Duration = Duration::from_secs(60);
/// How often one request is sent while the gateway can't be reached or is overloaded.
const RETRY: Policy = Policy::new(Duration::from_millis(250), Duration::from_secs(8)).tries(6);
/// The largest event in bytes that is read.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// A gateway, with the key that requests are sent with.
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

    /// Uploads an image file.
    ///
    /// # Errors
    ///
    /// What the gateway says about it.
    pub(crate) async fn image_create(&self, bytes: Vec<u8>) -> Result<ImageView> {
        let url = self.url("/v1/images")?;
        // Cloned for each try, which must not copy the file.
        let bytes = Bytes::from(bytes);
        let answer = self
            .send(|| {
                self.http
                    .post(url.clone())
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .body(bytes.clone())
            })
            .await?;
        read(answer).await
    }

    /// Submits an edit: one, however often the request is sent.
    ///
    /// # Errors
    ///
    /// What the gateway says about it.
    pub(crate) async fn edit_create(&self, request: &EditRequest) -> Result<AcceptedEdit> {
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
        read(answer).await
    }

    /// The edit as it is now.
    ///
    /// # Errors
    ///
    /// What the gateway says.
    pub(crate) async fn edit_get(&self, edit: EditId) -> Result<EditView> {
        let url = self.url(&format!("/v1/edits/{edit}"))?;
        read(self.send(|| self.http.get(url.clone())).await?).await
    }

    /// Downloads one of an edit's files.
    ///
    /// # Errors
    ///
    /// What the gateway says.
    pub(crate) async fn artifact_get(&self, edit: EditId, kind: ArtifactKind) -> Result<Bytes> {
        let url = self.url(&format!("/v1/edits/{edit}/{kind}"))?;
        let answer = self.send(|| self.http.get(url.clone())).await?;
        Ok(answer.bytes().await?)
    }

    /// Follows an edit's events until the one that ends it. After a lost connection it goes on where it was.
    ///
    /// # Errors
    ///
    /// What the gateway says; when it stays out of reach.
    pub(crate) async fn edit_follow(
        &self,
        edit: EditId,
        mut observe: impl FnMut(&EditEvent),
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
            if answer.status() == StatusCode::NO_CONTENT {
                // The edit has ended, and its last event was received.
                return Ok(());
            }
            let mut parser = SseParser::default();
            let mut chunks = answer.bytes_stream();
            // A chunk that fails is a lost connection: the request is sent again, with the last event's number.
            while let Some(Ok(chunk)) = chunks.next().await {
                for sent in parser.push(&chunk)? {
                    if let Some(id) = sent.id {
                        last = Some(id);
                    }
                    // Previews are no events, and newer gateways may have events of kinds that this command does not know.
                    let Ok(event) = serde_json::from_str::<EditEvent>(&sent.data) else {
                        continue;
                    };
                    observe(&event);
                    if event.kind.is_terminal() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Sends a request, and sends it again where that may help.
    async fn send(&self, request: impl Fn() -> reqwest::RequestBuilder) -> Result<Response> {
        let mut backoff = RETRY.start();
        loop {
            let outcome = request().send().await;
            let may_help = match &outcome {
                Ok(answer) => matches!(
                    answer.status(),
                    StatusCode::TOO_MANY_REQUESTS
                        | StatusCode::BAD_GATEWAY
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::GATEWAY_TIMEOUT
                ),
                Err(error) => !error.is_builder(),
            };
            match backoff.next().filter(|_| may_help) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => {
                    let unreachable = || format!("{} can't be reached", self.base);
                    return refuse(outcome.with_context(unreachable)?).await;
                }
            }
        }
    }
}

async fn read<T: DeserializeOwned>(answer: Response) -> Result<T> {
    answer
        .json()
        .await
        .context("the answer can't be read: is this a Limekiln gateway?")
}

/// Turns a problem document into an error of one line.
async fn refuse(answer: Response) -> Result<Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    // A proxy in between may answer something else.
    let problem: Option<ProblemDocument> = answer.json().await.ok();
    let (detail, code, errors) = match &problem {
        Some(problem) => (problem.detail.as_str(), &*problem.code, &*problem.errors),
        None => ("the gateway gave no reason", "", [].as_slice()),
    };
    let errors: Vec<String> = errors.iter().map(Invalid::to_string).collect();
    let errors = match errors.as_slice() {
        [] => String::new(),
        errors => format!(" ({})", errors.join("; ")),
    };
    let advice = match status {
        StatusCode::UNAUTHORIZED => {
            "; give a key that `limekiln keys create` or `limekiln dev` printed"
        }
        _ => "",
    };
    bail!("{detail}{errors}{advice} [{} {code}]", status.as_u16())
}

/// A server-sent event.
#[derive(Debug, Default, PartialEq)]
struct SentEvent {
    id: Option<String>,
    kind: String,
    data: String,
}

/// Reads server-sent events from the chunks of a body.
#[derive(Default)]
struct SseParser {
    line: Vec<u8>,
    event: SentEvent,
}

impl SseParser {
    fn push(&mut self, chunk: &[u8]) -> Result<Vec<SentEvent>> {
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
        let whole = SseParser::default().push(stream).unwrap();
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
            let mut events = SseParser::default();
            let cut: Vec<SentEvent> = stream
                .chunks(size)
                .flat_map(|chunk| events.push(chunk).unwrap())
                .collect();
            assert_eq!(cut, whole);
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut events = SseParser::default();
        let outcome = (0..1025).try_for_each(|_| events.push(&[b'x'; 1024]).map(drop));
        assert!(outcome.is_err());
    }
}
