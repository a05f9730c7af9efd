//! A client of the gateways that does not give up: a request that got no answer goes to the other gateway, under the same
//! idempotency key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use limekiln_jobs::retry::Policy;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use uuid::Uuid;

/// How long a client tries, and with which delays.
const RETRY: Policy = Policy::new(Duration::from_millis(40), Duration::from_millis(500))
    .patience(Duration::from_secs(90));
/// How long one try may take.
const TRY: Duration = Duration::from_secs(10);

/// A client of one tenant. Clones are the same client.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    gateways: Arc<[String]>,
    turn: Arc<AtomicUsize>,
    key: Arc<str>,
}

impl Client {
    /// A client with a key.
    #[must_use]
    pub fn new(http: reqwest::Client, gateways: Vec<String>, key: &str) -> Self {
        Self {
            http,
            gateways: gateways.into(),
            turn: Arc::default(),
            key: key.into(),
        }
    }

    /// One request to the gateway whose turn it is.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let gateway = &self.gateways[turn % self.gateways.len()];
        self.http
            .request(method, format!("{gateway}{path}"))
            .bearer_auth(&self.key)
    }

    /// Asks again until there is an answer that is not the gateway's trouble.
    ///
    /// # Errors
    ///
    /// When there is none for a minute and a half.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        dress: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer> {
        let mut tries = 0_u32;
        let mut backoff = RETRY.start();
        loop {
            tries += 1;
            let last = match self.once(&method, path, &dress).await {
                Ok(answer) if !is_trouble(answer.status) => return Ok(Answer { tries, ..answer }),
                Ok(answer) => format!(
                    "{} {}",
                    answer.status,
                    String::from_utf8_lossy(&answer.body)
                ),
                Err(error) => format!("{error:#}"),
            };
            let Some(delay) = backoff.next() else {
                bail!("{method} {path}: nothing but trouble in {tries} tries; the last: {last}");
            };
            tokio::time::sleep(delay).await;
        }
    }

    async fn once(
        &self,
        method: &Method,
        path: &str,
        dress: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer> {
        let answer = dress(self.request(method.clone(), path))
            .timeout(TRY)
            .send()
            .await?;
        let status = answer.status();
        let replayed = answer.headers().get("idempotency-replayed").is_some();
        Ok(Answer {
            status,
            body: answer.bytes().await?,
            tries: 1,
            replayed,
        })
    }

    /// Uploads a picture: its id.
    ///
    /// # Errors
    ///
    /// When it is refused.
    pub async fn upload(&self, picture: Bytes) -> Result<Uuid> {
        let answer = self
            .send(Method::POST, "/v1/images", |request| {
                request
                    .header("content-type", "image/png")
                    .body(picture.clone())
            })
            .await?;
        answer.id()
    }

    /// Submits an edit: its id.
    ///
    /// # Errors
    ///
    /// When it is refused.
    pub async fn submit(&self, key: &str, edit: &Value) -> Result<Uuid> {
        let answer = self
            .send(Method::POST, "/v1/edits", |request| {
                request.header("idempotency-key", key).json(edit)
            })
            .await?;
        answer.id()
    }

    /// Cancels an edit; whether that ended it. It had ended already, when not.
    ///
    /// # Errors
    ///
    /// When it is refused for another reason.
    pub async fn cancel(&self, edit: Uuid) -> Result<bool> {
        let answer = self
            .send(
                Method::POST,
                &format!("/v1/edits/{edit}/cancel"),
                |request| request,
            )
            .await?;
        match answer.status {
            StatusCode::CONFLICT => Ok(false),
            status if status.is_success() => Ok(true),
            status => bail!("cancel: {status} {}", String::from_utf8_lossy(&answer.body)),
        }
    }

    /// What the API shows of an edit.
    ///
    /// # Errors
    ///
    /// When it shows nothing.
    pub async fn edit(&self, edit: Uuid) -> Result<Value> {
        let answer = self
            .send(Method::GET, &format!("/v1/edits/{edit}"), |request| request)
            .await?;
        answer.success()?.json()
    }

    /// The bytes at `path`, wherever they are.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub async fn download(&self, path: &str) -> Result<Bytes> {
        let answer = self.send(Method::GET, path, |request| request).await?;
        Ok(answer.success().with_context(|| path.to_owned())?.body)
    }
}

/// What a retry may cure. A limit of the rate is one of them.
fn is_trouble(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// An answer that is not the gateway's trouble.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
    /// Which try it answers.
    pub tries: u32,
    /// Whether the gateway says that it repeats itself.
    pub replayed: bool,
}

impl Answer {
    /// The answer, when it is a good one.
    ///
    /// # Errors
    ///
    /// What it says, when it is not.
    pub fn success(self) -> Result<Self> {
        ensure!(
            self.status.is_success(),
            "{} {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        Ok(self)
    }

    /// Its body.
    ///
    /// # Errors
    ///
    /// When that is no JSON.
    pub fn json(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    fn id(self) -> Result<Uuid> {
        let body = self.success()?.json()?;
        Ok(body["id"]
            .as_str()
            .context("an answer without an id")?
            .parse()?)
    }
}
