//! The resolver of the webhooks' HTTP client. What it answers is what the client connects to, with no second lookup in
//! between; so a name that changes its address after a check (DNS rebinding) gains nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Refused;

/// The most addresses of one name that are tried.
const ADDRESSES: usize = 16;

/// Asks for the addresses of a name.
pub(crate) type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The operating system's resolver.
pub(crate) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((name, 0))
                .await?
                .take(ADDRESSES)
                .collect())
        })
    })
}

pub(crate) struct Resolver {
    pub(crate) lookup: Lookup,
    /// Which addresses may be connected to.
    pub(crate) allow: fn(IpAddr) -> bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let found = (self.lookup)(name.clone());
        let allow = self.allow;
        Box::pin(async move {
            let mut addresses = found.await?;
            if addresses.is_empty() {
                return Err(format!("{name} has no address").into());
            }
            addresses.retain(|address| allow(address.ip()));
            if addresses.is_empty() {
                return Err(Refused::PrivateName(name).into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
