//! Gets what lies at addresses that tenants name: of the public internet only, as webhooks go there, and bounded in bytes, time,
//! redirects and how often a host is asked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, LOCATION};
use reqwest::{Response, StatusCode};
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Url;

use crate::Error;
use crate::webhooks::{Lookup, Refused, allowed, causes, client, system, url_check};

/// Hosts whose last time is remembered.
const HOSTS_MAX: usize = 4096;

/// How what lies elsewhere is got.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchSettings {
    /// Whether private and loopback addresses are asked, too.
    pub allow_private: bool,
    /// The longest that one may take, its redirects included.
    pub timeout: Duration,
    /// The most bytes of one.
    pub bytes: u64,
    /// The most redirects of one.
    pub redirects: u32,
    /// How often a host is asked in a second, at most.
    pub per_second: f64,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            allow_private: false,
            timeout: Duration::from_secs(60),
            bytes: 20 << 20,
            redirects: 3,
            per_second: 20.0,
        }
    }
}

/// Why nothing was got.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address is none of the public internet, or not one that its tenant may have fetched.
    #[error("{0}")]
    Refused(String),
    /// What is there is longer than it may be.
    #[error("it has more than {0} bytes")]
    Long(u64),
    /// It was sent on too often, or to nowhere.
    #[error("it was sent on {0} times and more")]
    Redirects(u32),
    /// It was sent on to an address that can't be read.
    #[error("it was sent on to what is no address")]
    Astray,
    /// The host answered something else.
    #[error("its host answered {status}{hint}", hint = hint(*.status))]
    Status {
        /// The status.
        status: u16,
    },
    /// No answer came, or it broke off.
    #[error("{0}")]
    Unreached(String),
}

/// What a status means of an address that worked before.
fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 | 410 => ": where the address was signed, that may have expired; sign it anew",
        404 => ": there is nothing there",
        _ => "",
    }
}

impl FetchError {
    /// Whether another try may do.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreached(_) => true,
            Self::Status { status } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }
}

/// Gets what lies elsewhere.
#[derive(Clone)]
pub struct Fetcher {
    http: reqwest::Client,
    settings: FetchSettings,
    /// When each host may be asked again.
    hosts: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Fetcher {
    /// A client with these settings.
    ///
    /// # Errors
    /// Where the process has no TLS.
    pub fn new(settings: FetchSettings) -> Result<Self, Error> {
        let allow = allowed(settings.allow_private);
        Self::with_lookup(settings, system(), allow)
    }

    fn with_lookup(
        settings: FetchSettings,
        lookup: Lookup,
        allow: fn(IpAddr) -> bool,
    ) -> Result<Self, Error> {
        // Each redirect is checked here, as the first address was.
        let http = client(lookup, allow, settings.timeout)?
            .pool_max_idle_per_host(2)
            .build()
            .map_err(Error::Client)?;
        Ok(Self {
            http,
            settings,
            hosts: Arc::default(),
        })
    }

    /// Begins to get what is at `url`. `allowed` is asked of it and of every address that it is sent on to.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn open(
        &self,
        url: &Url,
        allowed: impl Fn(&Url) -> bool,
    ) -> Result<Fetched, FetchError> {
        let deadline = Instant::now() + self.settings.timeout;
        let mut url = url.clone();
        for _ in 0..=self.settings.redirects {
            if !allowed(&url) {
                return Err(FetchError::Refused(format!(
                    "{} is not among the places that this tenant's pictures may be fetched from",
                    place(&url)
                )));
            }
            // The client connects to addresses written in a URL without asking the resolver.
            url_check(&url, self.settings.allow_private)
                .map_err(|refused| FetchError::Refused(words(&refused)))?;
            let turn = self.turn(&url);
            if turn > deadline {
                return Err(FetchError::Unreached(
                    "its host has too many requests to answer".to_owned(),
                ));
            }
            sleep_until(turn).await;
            let request = self
                .http
                .get(url.clone())
                .header(ACCEPT, "image/*, */*;q=0.5");
            let response = match timeout_at(deadline, request.send()).await {
                Ok(sent) => sent.map_err(|error| failure(&error))?,
                Err(_) => return Err(self.late()),
            };
            if is_redirect(response.status()) {
                let to = response.headers().get(LOCATION);
                let to = to
                    .and_then(|to| to.to_str().ok())
                    .ok_or(FetchError::Astray)?;
                url = url.join(to).map_err(|_| FetchError::Astray)?;
                continue;
            }
            if response.status() != StatusCode::OK {
                let status = response.status().as_u16();
                return Err(FetchError::Status { status });
            }
            let fetched = Fetched {
                response,
                left: self.settings.bytes,
                settings: self.settings.clone(),
                deadline,
            };
            return match fetched.declared() {
                Some(bytes) if bytes > self.settings.bytes => {
                    Err(FetchError::Long(self.settings.bytes))
                }
                _ => Ok(fetched),
            };
        }
        Err(FetchError::Redirects(self.settings.redirects))
    }

    /// When the address' host may be asked; the next one comes after.
    fn turn(&self, url: &Url) -> Instant {
        let now = Instant::now();
        let host = url.host_str().unwrap_or_default();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS_MAX {
            hosts.retain(|_, next| *next > now);
        }
        let next = hosts.entry(host.to_owned()).or_insert(now);
        let turn = (*next).max(now);
        *next = turn + Duration::from_secs_f64(1.0 / self.settings.per_second.max(0.01));
        turn
    }

    fn late(&self) -> FetchError {
        late(self.settings.timeout)
    }
}

fn late(timeout: Duration) -> FetchError {
    FetchError::Unreached(format!("it did not come within {} s", timeout.as_secs()))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// An address without what may be a secret in it.
fn place(url: &Url) -> String {
    let end = url.port().map(|port| format!(":{port}"));
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{}", url.scheme(), end.unwrap_or_default())
}

/// A refusal in words that do not speak of webhooks.
fn words(refused: &Refused) -> String {
    match refused {
        Refused::Scheme(scheme) => format!("{scheme}: is no way to a picture"),
        Refused::NoHost => "it names no host".to_owned(),
        Refused::Credentials => "it carries a user or a password".to_owned(),
        other => other.to_string(),
    }
}

/// What is got, piece by piece.
#[derive(Debug)]
pub struct Fetched {
    response: Response,
    left: u64,
    settings: FetchSettings,
    deadline: Instant,
}

impl Fetched {
    /// Its length, as its host declares it.
    pub fn declared(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next piece; none after the last.
    ///
    /// # Errors
    /// [`FetchError`]: it broke off, takes too long, or is longer than it may be, whatever was declared.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let piece = match timeout_at(self.deadline, self.response.chunk()).await {
            Ok(piece) => piece.map_err(|error| failure(&error))?,
            Err(_) => return Err(late(self.settings.timeout)),
        };
        let Some(piece) = piece else {
            return Ok(None);
        };
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or(FetchError::Long(self.settings.bytes))?;
        Ok(Some(piece))
    }
}

fn failure(error: &reqwest::Error) -> FetchError {
    let kind = if error.is_connect() {
        "its host can't be reached"
    } else {
        "it broke off"
    };
    match causes(kind, error) {
        Ok(words) => FetchError::Unreached(words),
        Err(refused) => FetchError::Refused(words(refused)),
    }
}

#[cfg(test)]
mod tests;
