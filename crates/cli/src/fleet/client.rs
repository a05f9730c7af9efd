//! The gateway's API as the command uses it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::StreamExt;
use limekiln_diffusion::checkpoint::proxy_of;
use limekiln_jobs::api::{
    AcceptedEdit, CatalogRequest, CatalogView, ImageView, Invalid, Models, PIXELS_MOVED,
    ProblemDocument, RowsTaken,
};
use limekiln_jobs::retry::Policy;
use limekiln_jobs::{ArtifactKind, EditEvent, EditId, EditRequest, EditView, SessionId};
use limekiln_pictures::Format;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
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

/// A gateway, with the key that requests are sent with. A clone shares its connections.
#[derive(Clone)]
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

    /// The gateway's address, or that of its API as OpenAI's clients are given it.
    pub(crate) fn url(&self, path: &str) -> Result<Url> {
        let base = self.base.as_str().trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base);
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
        self.edit_post("/v1/edits", request).await
    }

    /// Posts a turn: one, however often the request is sent.
    ///
    /// # Errors
    ///
    /// What the gateway says about it.
    pub(crate) async fn turn_create(
        &self,
        session: SessionId,
        request: &EditRequest,
    ) -> Result<AcceptedEdit> {
        let path = format!("/v1/sessions/{session}/edits");
        self.edit_post(&path, request).await
    }

    async fn edit_post(&self, path: &str, request: &EditRequest) -> Result<AcceptedEdit> {
        let url = self.url(path)?;
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

    /// Sends a request, with a body if there is one, and reads the answer.
    ///
    /// # Errors
    ///
    /// What the gateway says about it.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        read(self.request(method, path, body).await?).await
    }

    /// Reads what is at this path.
    ///
    /// # Errors
    ///
    /// What the gateway says about it.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(self.request(Method::GET, path, None::<&()>).await?).await
    }

    /// Posts to this path, without a body.
    ///
    /// # Errors
    ///
    /// What the gateway says about it.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(self.request(Method::POST, path, None::<&()>).await?).await
    }

    /// Makes a catalog: the same one for the same key.
    ///
    /// # Errors
    ///
    /// What the gateway says about it.
    pub(crate) async fn catalog_create(
        &self,
        request: &CatalogRequest,
        key: &str,
    ) -> Result<CatalogView> {
        let url = self.url("/v1/catalogs")?;
        let send = || {
            let request = self.http.post(url.clone()).json(request);
            request.header("idempotency-key", key)
        };
        read(self.send(send).await?).await
    }

    /// Sends rows, a JSON object on each line: each once, however often they are sent.
    ///
    /// # Errors
    ///
    /// What the gateway says about them.
    pub(crate) async fn rows_add(&self, path: &str, rows: Vec<u8>) -> Result<RowsTaken> {
        let url = self.url(path)?;
        let rows = Bytes::from(rows);
        let send = || {
            let request = self.http.post(url.clone()).body(rows.clone());
            request.header(CONTENT_TYPE, "application/x-ndjson")
        };
        read(self.send(send).await?).await
    }

    /// Deletes what is at this path.
    ///
    /// # Errors
    ///
    /// What the gateway says about it.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        let answer = self.request(Method::DELETE, path, None::<&()>);
        answer.await.map(drop)
    }

    /// Downloads what is at this path.
    ///
    /// # Errors
    ///
    /// What the gateway says.
    pub(crate) async fn bytes_get(&self, path: &str) -> Result<Bytes> {
        let answer = self.request(Method::GET, path, None::<&()>).await?;
        Ok(answer.bytes().await?)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Response> {
        let url = self.url(path)?;
        self.send(|| {
            let request = self.http.request(method.clone(), url.clone());
            match body {
                Some(body) => request.json(body),
                None => request,
            }
        })
        .await
    }

    /// The models.
    ///
    /// # Errors
    ///
    /// What the gateway says.
    pub(crate) async fn models(&self) -> Result<Models> {
        let url = self.url("/v1/models")?;
        read(self.send(|| self.http.get(url.clone())).await?).await
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

    /// Downloads an edit's result in this format; without one, in that which the gateway gives it.
    ///
    /// # Errors
    ///
    /// What the gateway says; when it sends something else.
    pub(crate) async fn result_get(
        &self,
        edit: EditId,
        asked: Option<Format>,
    ) -> Result<ResultFile> {
        let mut url = self.url(&format!("/v1/edits/{edit}/result"))?;
        if let Some(format) = asked {
            url.query_pairs_mut().append_pair("format", format.word());
        }
        let answer = self.send(|| self.http.get(url.clone())).await?;
        let sent = answer
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let moved = answer.headers().get(PIXELS_MOVED);
        let moved = moved.and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = answer.bytes().await?;
        let found = Format::WRITTEN
            .into_iter()
            .find(|format| format.media_type() == sent);
        match found {
            Some(format) if asked.is_none_or(|asked| asked == format) => Ok(ResultFile {
                bytes,
                format,
                moved,
            }),
            _ => bail!(
                "the gateway sent the result as {sent:?}: it may be older than this command; leave out -o, or name a .png file"
            ),
        }
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
                    let through = proxy_of(self.base.as_str());
                    return match outcome {
                        Ok(answer) => refuse(answer, &self.base, through.as_deref()).await,
                        Err(error) => bail!(unreached(&error, &self.base, through.as_deref())),
                    };
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

/// Why no answer came, in one sentence.
fn unreached(error: &reqwest::Error, base: &Url, proxy: Option<&str>) -> String {
    // What is outermost says which request failed, what is innermost why.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match proxy {
        Some(proxy) => format!(
            "{base} can't be reached through the proxy {proxy}: {cause}; {}",
            around(base)
        ),
        None => format!("{base} can't be reached: {cause}; --url says where the gateway is"),
    }
}

/// How to ask the gateway itself.
fn around(base: &Url) -> String {
    let host = base.host_str().unwrap_or_default();
    format!("NO_PROXY={host} asks the gateway without it")
}

/// Turns a problem document into an error of one line.
async fn refuse(answer: Response, base: &Url, proxy: Option<&str>) -> Result<Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let problem: Option<ProblemDocument> = answer.json().await.ok();
    let Some(problem) = problem else {
        // It was no gateway that answered.
        match proxy {
            Some(proxy) => bail!(
                "the proxy {proxy} answered {status} in place of {base}; {}",
                around(base)
            ),
            None => bail!(
                "{base} answered {status} and gave no reason: is it a Limekiln gateway? --url says where it is"
            ),
        }
    };
    Err(Refused {
        code: problem.code.to_string(),
        says: refusal(&problem),
    }
    .into())
}

/// What a gateway refused.
#[derive(Debug, thiserror::Error)]
#[error("{says}")]
pub(super) struct Refused {
    /// The problem's stable code.
    pub(super) code: String,
    says: String,
}

/// A result as a gateway sent it.
pub(super) struct ResultFile {
    pub(super) bytes: Bytes,
    pub(super) format: Format,
    /// Pixels outside the edit that coding the file moved.
    pub(super) moved: Option<u64>,
}

fn refusal(problem: &ProblemDocument) -> String {
    let detail = &problem.detail;
    // As a rule the detail has them.
    let errors: Vec<String> = problem
        .errors
        .iter()
        .map(Invalid::to_string)
        .filter(|error| !detail.contains(error.as_str()))
        .collect();
    let errors = match errors.as_slice() {
        [] => String::new(),
        errors => format!(" ({})", errors.join("; ")),
    };
    // What these tell programs is no help to whoever typed a command.
    let told = match (problem.status, &*problem.code.to_string()) {
        (401, _) => {
            "the gateway knows no such key: give one that `limekiln keys create` or `limekiln dev` printed"
        }
        (404, "not_found") => {
            "the gateway has nothing at this address: --url names it without a path, or with /v1"
        }
        _ => detail,
    };
    format!("{told}{errors} [{} {}]", problem.status, problem.code)
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
    fn what_is_wrong_is_said_once() {
        let invalid = |field: &str| Invalid::new(field, "must be smaller");
        let problem = |detail: &str, errors: Vec<Invalid>| {
            let code = limekiln_jobs::api::ProblemCode::RequestInvalid;
            refusal(&ProblemDocument::new(code, detail.to_owned(), errors))
        };
        assert_eq!(
            problem("size: must be smaller", vec![invalid("size")]),
            "size: must be smaller [422 request_invalid]"
        );
        assert_eq!(
            problem("fields are wrong", vec![invalid("size"), invalid("seed")]),
            "fields are wrong (size: must be smaller; seed: must be smaller) [422 request_invalid]"
        );
    }

    #[test]
    fn the_address_may_be_that_of_the_api() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for base in [
            "http://a:1",
            "http://a:1/",
            "http://a:1/v1",
            "http://a:1/v1/",
        ] {
            let client = Client::new(&base.parse().unwrap(), "lk_x");
            let url = client.unwrap().url("/v1/images").unwrap();
            assert_eq!(url.as_str(), "http://a:1/v1/images");
        }
        let client = Client::new(&"http://a/limekiln/v1".parse().unwrap(), "lk_x").unwrap();
        assert_eq!(
            client.url("/v1/edits").unwrap().as_str(),
            "http://a/limekiln/v1/edits"
        );
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut events = SseParser::default();
        let outcome = (0..1025).try_for_each(|_| events.push(&[b'x'; 1024]).map(drop));
        assert!(outcome.is_err());
    }
}
