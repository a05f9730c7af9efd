//! One delivery over HTTP.

use std::net::IpAddr;

use bytes::Bytes;
use limekiln_jobs::WebhookId;
use limekiln_store::Secret;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use time::OffsetDateTime;
use url::Url;

use super::address::url_check;
use super::resolve::{Lookup, system};
use super::{outward, signature};
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
        Self::with_lookup(settings, system(), outward::allowed(settings.allow_private))
    }

    fn with_lookup(
        settings: &Webhooks,
        lookup: Lookup,
        allow: fn(IpAddr) -> bool,
    ) -> Result<Self, Error> {
        let http = outward::client(lookup, allow, settings.timeout)?
            .timeout(settings.timeout)
            .pool_max_idle_per_host(1)
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

fn failure(error: &reqwest::Error) -> Outcome {
    let kind = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "can't connect"
    } else {
        "failed"
    };
    match outward::causes(kind, error) {
        Ok(words) => Outcome::Unreached(words),
        Err(refused) => Outcome::Refused(refused.to_string()),
    }
}

#[cfg(test)]
mod tests;
