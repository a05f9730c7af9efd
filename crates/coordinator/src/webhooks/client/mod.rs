//! One delivery over HTTP.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use limekiln_jobs::WebhookId;
use limekiln_store::Secret;
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, redirect};
use time::OffsetDateTime;
use url::Url;

use super::address::{Refused, is_public, url_check};
use super::resolve::{Lookup, Resolver, system};
use super::signature;
use crate::{Error, Webhooks};

/// How an attempt at a delivery ended.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// The endpoint answered 2xx.
    Delivered,
    /// The endpoint answered something else; another try may do.
    Failed(String),
    /// No answer came: nobody there, or too slow. Another try may do.
    Unreached(String),
    /// The endpoint said that it is gone (410): no other try will do.
    Gone,
    /// It can't be sent: the address is not allowed.
    Refused(String),
}

/// The HTTP client of the webhooks.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    allow_private: bool,
}

impl Client {
    pub(crate) fn new(settings: &Webhooks) -> Result<Self, Error> {
        Self::with_lookup(
            settings,
            system(),
            if settings.allow_private {
                |_| true
            } else {
                is_public
            },
        )
    }

    fn with_lookup(
        settings: &Webhooks,
        lookup: Lookup,
        allow: fn(IpAddr) -> bool,
    ) -> Result<Self, Error> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Error::Settings(
                "no TLS provider: install rustls' ring provider when the process starts",
            ));
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("limekiln/", env!("CARGO_PKG_VERSION")))
            // A redirect or a proxy would lead past the check of addresses.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Resolver { lookup, allow }))
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout.min(Duration::from_secs(5)))
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(Error::Client)?;
        Ok(Self {
            http,
            allow_private: settings.allow_private,
        })
    }

    /// Posts the body, signed now with each of the secrets.
    pub(crate) async fn deliver(
        &self,
        id: WebhookId,
        url: &str,
        secrets: &[Secret],
        body: Bytes,
    ) -> Outcome {
        let url: Url = match url.parse() {
            Ok(url) => url,
            Err(error) => return Outcome::Refused(format!("no url: {error}")),
        };
        // The client connects to addresses written in a URL without asking the resolver.
        if let Err(refused) = url_check(&url, self.allow_private) {
            return Outcome::Refused(refused.to_string());
        }
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let headers = match signature::headers(id, now, secrets, &body) {
            Ok(headers) => headers,
            Err(error) => return Outcome::Refused(format!("it can't be signed: {error}")),
        };
        let mut request = self.http.post(url).header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match request.body(body).send().await {
            // The answer's body is of no interest: dropped unread, it can't be too long.
            Ok(response) => match response.status() {
                status if status.is_success() => Outcome::Delivered,
                StatusCode::GONE => Outcome::Gone,
                status => Outcome::Failed(format!("the endpoint answered {}", status.as_u16())),
            },
            Err(error) => failure(&error),
        }
    }
}

/// The error with its causes, which reqwest's own words leave out. The URL isn't repeated: it may hold a secret.
fn failure(error: &reqwest::Error) -> Outcome {
    let kind = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "can't connect"
    } else {
        "failed"
    };
    let mut words = kind.to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Outcome::Refused(refused.to_string());
        }
        if words.len() < 200 {
            words.push_str(": ");
            words.push_str(&error.to_string());
        }
        cause = error.source();
    }
    Outcome::Unreached(words.chars().take(300).collect())
}

#[cfg(test)]
mod tests;
