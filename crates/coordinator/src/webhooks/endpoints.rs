//! What is known of the endpoints: how busy each is, and which are down.
//!
//! A dead endpoint must block nothing: few deliveries at once go to one endpoint, and once some in a row got no answer
//! its deliveries fail at once, untried, until a while has passed. So thousands of them don't stand in the way.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::TenantId;
use tokio::time::Instant;
use url::Url;

/// Failures in a row after which an endpoint counts as down.
const DOWN_AFTER: u32 = 3;
/// How long it does at first, and at most.
const DOWN: Duration = Duration::from_secs(5);
const DOWN_MOST: Duration = Duration::from_secs(60);
/// The most endpoints remembered; beyond, those that nothing goes to are forgotten.
const REMEMBERED: usize = 4096;

/// A server as one tenant uses it. Not shared between tenants: one whose deliveries to it fail must not hold up another's.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Endpoint {
    tenant: TenantId,
    /// Scheme, host and port.
    origin: String,
}

impl Endpoint {
    pub(crate) fn new(tenant: TenantId, url: &str) -> Self {
        let origin = url
            .parse::<Url>()
            .map(|url| url.origin().ascii_serialization())
            .unwrap_or_default();
        Self { tenant, origin }
    }
}

/// Whether a delivery may go to an endpoint now.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    /// It counts as on its way until [`Endpoints::ended`].
    Go,
    /// As many as may are on their way.
    Busy,
    /// It failed again and again, just now.
    Down,
}

#[derive(Debug, Default)]
struct Known {
    on_the_way: usize,
    failures: u32,
    down_until: Option<Instant>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Endpoints {
    per_endpoint: usize,
    known: HashMap<Endpoint, Known>,
}

impl Endpoints {
    pub(crate) fn new(per_endpoint: usize) -> Self {
        Self {
            per_endpoint,
            known: HashMap::new(),
        }
    }

    pub(crate) fn admit(&mut self, endpoint: &Endpoint, now: Instant) -> Admission {
        if self.known.len() >= REMEMBERED && !self.known.contains_key(endpoint) {
            self.known.retain(|_, known| known.on_the_way > 0);
        }
        let known = self.known.entry(endpoint.clone()).or_default();
        if known.down_until.is_some_and(|until| now < until) {
            return Admission::Down;
        }
        // One that was down shows with a single delivery whether it is back.
        let most = if known.failures >= DOWN_AFTER {
            1
        } else {
            self.per_endpoint
        };
        if known.on_the_way >= most {
            return if known.failures >= DOWN_AFTER {
                Admission::Down
            } else {
                Admission::Busy
            };
        }
        known.on_the_way += 1;
        Admission::Go
    }

    pub(crate) fn ended(&mut self, endpoint: &Endpoint, reached: bool, now: Instant) {
        let Some(known) = self.known.get_mut(endpoint) else {
            return;
        };
        known.on_the_way = known.on_the_way.saturating_sub(1);
        if reached {
            known.failures = 0;
            known.down_until = None;
            if known.on_the_way == 0 {
                self.known.remove(endpoint);
            }
            return;
        }
        known.failures = known.failures.saturating_add(1);
        if known.failures >= DOWN_AFTER {
            let doublings = (known.failures - DOWN_AFTER).min(8);
            known.down_until = Some(now + DOWN.saturating_mul(1 << doublings).min(DOWN_MOST));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(host: &str) -> Endpoint {
        Endpoint {
            tenant: TenantId::from(uuid::Uuid::nil()),
            origin: format!("https://{host}"),
        }
    }

    #[test]
    fn a_few_at_once_and_the_rest_is_held() {
        let (mut endpoints, now) = (Endpoints::new(2), Instant::now());
        let (a, b) = (named("a"), named("b"));
        assert_eq!(endpoints.admit(&a, now), Admission::Go);
        assert_eq!(endpoints.admit(&a, now), Admission::Go);
        assert_eq!(endpoints.admit(&a, now), Admission::Busy);
        assert_eq!(
            endpoints.admit(&b, now),
            Admission::Go,
            "another endpoint is not held up"
        );
        endpoints.ended(&a, true, now);
        assert_eq!(endpoints.admit(&a, now), Admission::Go);
    }

    #[test]
    fn one_that_fails_in_a_row_is_down_and_shows_with_one_delivery_that_it_is_back() {
        let (mut endpoints, mut now, a) = (Endpoints::new(4), Instant::now(), named("a"));
        for _ in 0..DOWN_AFTER {
            assert_eq!(endpoints.admit(&a, now), Admission::Go);
            endpoints.ended(&a, false, now);
        }
        assert_eq!(endpoints.admit(&a, now), Admission::Down);
        now += DOWN;
        assert_eq!(endpoints.admit(&a, now), Admission::Go);
        assert_eq!(endpoints.admit(&a, now), Admission::Down, "only one tries");
        endpoints.ended(&a, false, now);
        now += DOWN;
        assert_eq!(endpoints.admit(&a, now), Admission::Down, "down for longer");
        now += DOWN;
        assert_eq!(endpoints.admit(&a, now), Admission::Go);
        endpoints.ended(&a, true, now);
        for _ in 0..4 {
            assert_eq!(endpoints.admit(&a, now), Admission::Go);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (mut endpoints, now) = (Endpoints::new(4), Instant::now());
        for n in 0..3 * REMEMBERED {
            let name = named(&n.to_string());
            assert_eq!(endpoints.admit(&name, now), Admission::Go);
            endpoints.ended(&name, false, now);
        }
        assert!(endpoints.known.len() <= REMEMBERED);
    }

    #[test]
    fn an_endpoint_is_a_tenants_scheme_host_and_port() {
        let (tenant, other) = (TenantId::new(), TenantId::new());
        let endpoint = |url| Endpoint::new(tenant, url);
        assert_eq!(
            endpoint("https://Example.com/a?b"),
            endpoint("https://example.com:443/c")
        );
        assert_ne!(
            endpoint("https://example.com/"),
            endpoint("http://example.com/")
        );
        assert_ne!(
            endpoint("http://example.com:1/"),
            endpoint("http://example.com:2/")
        );
        assert_ne!(
            endpoint("https://example.com/"),
            Endpoint::new(other, "https://example.com/")
        );
    }
}
