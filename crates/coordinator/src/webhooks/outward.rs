//! What all requests to addresses that tenants name have in common, webhooks and pictures alike.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{ClientBuilder, redirect};

use super::address::{Refused, is_public};
use super::resolve::{Lookup, Resolver};
use crate::Error;

/// Which addresses may be connected to: those of the public internet, or all.
pub(crate) fn allowed(private: bool) -> fn(IpAddr) -> bool {
    if private { |_| true } else { is_public }
}

/// An HTTP client that connects only where `allow` says so. A redirect or a proxy would lead past that check, so it follows none.
///
/// # Errors
/// Where the process has no TLS.
pub(crate) fn client(
    lookup: Lookup,
    allow: fn(IpAddr) -> bool,
    timeout: Duration,
) -> Result<ClientBuilder, Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(Error::Settings(
            "no TLS provider: install rustls' ring provider when the process starts",
        ));
    }
    Ok(reqwest::Client::builder()
        .user_agent(concat!("limekiln/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(Resolver { lookup, allow }))
        .connect_timeout(timeout.min(Duration::from_secs(5)))
        .pool_idle_timeout(Duration::from_secs(30)))
}

/// `kind` with the error's causes, which reqwest's own words leave out. The address isn't repeated: it may hold a secret.
///
/// # Errors
/// The refusal, where an address was refused.
pub(crate) fn causes<'a>(kind: &str, error: &'a reqwest::Error) -> Result<String, &'a Refused> {
    let mut words = kind.to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Err(refused);
        }
        if words.len() < 200 {
            words.push_str(": ");
            words.push_str(&error.to_string());
        }
        cause = error.source();
    }
    Ok(words.chars().take(300).collect())
}
