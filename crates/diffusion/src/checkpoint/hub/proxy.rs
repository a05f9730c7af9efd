//! Through whom requests go.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// The proxy that a request to `url` goes through, as the environment says (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`):
/// scheme, host and port, without what it is told of us.
pub fn proxy_of(url: &str) -> Option<String> {
    let url: Uri = url.parse().ok()?;
    let through = Matcher::from_env().intercept(&url)?;
    let proxy = through.uri();
    let host = proxy.authority()?.as_str();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    Some(format!("{}://{host}", proxy.scheme_str().unwrap_or("http")))
}
