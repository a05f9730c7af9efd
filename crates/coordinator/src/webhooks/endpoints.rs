//! A circuit breaker for each endpoint.
//!
//! A dead endpoint must block nothing: few deliveries at once go to one endpoint, and once some in a row got no answer
//! its deliveries fail at once, untried, until a while has passed. So thousands of them don't hold up the others.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::TenantId;
use limekiln_jobs::retry::Policy;
use tokio::time::Instant;
use url::Url;

/// Failures in a row after which an endpoint counts as down.
const DOWN_AFTER: u32 = 3;
/// How long it counts as down, by the failures after that.
const DOWN: Policy = Policy::new(Duration::from_secs(5), Duration::from_secs(60));
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
    /// It may, and counts as on its way until [`Endpoints::ended`].
    Go,
    /// As many as may be are on their way.
    Busy,
    /// It failed again and again just before.
    Down,
}

#[derive(Debug, Default)]
struct Circuit {
    on_the_way: usize,
    failures: u32,
    down_until: Option<Instant>,
}

/// The circuit breakers of all endpoints.
#[derive(Debug)]
pub(crate) struct Endpoints {
    per_endpoint: usize,
    circuits: HashMap<Endpoint, Circuit>,
}

impl Endpoints {
    pub(crate) fn new(per_endpoint: usize) -> Self {
        Self {
            per_endpoint,
            circuits: HashMap::new(),
        }
    }

    pub(crate) fn admit(&mut self, endpoint: &Endpoint, now: Instant) -> Admission {
        if self.circuits.len() >= REMEMBERED && !self.circuits.contains_key(endpoint) {
            self.circuits.retain(|_, circuit| circuit.on_the_way > 0);
        }
        let circuit = self.circuits.entry(endpoint.clone()).or_default();
        if circuit.down_until.is_some_and(|until| now < until) {
            return Admission::Down;
        }
        // One that was down shows with a single delivery whether it is back.
        let most = if circuit.failures >= DOWN_AFTER {
            1
        } else {
            self.per_endpoint
        };
        if circuit.on_the_way >= most {
            return if circuit.failures >= DOWN_AFTER {
                Admission::Down
            } else {
                Admission::Busy
            };
        }
        circuit.on_the_way += 1;
        Admission::Go
    }

    pub(crate) fn ended(&mut self, endpoint: &Endpoint, reached: bool, now: Instant) {
        let Some(circuit) = self.circuits.get_mut(endpoint) else {
            return;
        };
        circuit.on_the_way = circuit.on_the_way.saturating_sub(1);
        if reached {
            circuit.failures = 0;
            circuit.down_until = None;
            if circuit.on_the_way == 0 {
                self.circuits.remove(endpoint);
            }
            return;
        }
        circuit.failures = circuit.failures.saturating_add(1);
        if circuit.failures >= DOWN_AFTER {
            circuit.down_until = Some(now + DOWN.delay(circuit.failures - DOWN_AFTER));
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
        now += DOWN.delay(0);
        assert_eq!(endpoints.admit(&a, now), Admission::Go);
        assert_eq!(endpoints.admit(&a, now), Admission::Down, "only one tries");
        endpoints.ended(&a, false, now);
        now += DOWN.delay(0);
        assert_eq!(endpoints.admit(&a, now), Admission::Down, "down for longer");
        now += DOWN.delay(0);
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
        assert!(endpoints.circuits.len() <= REMEMBERED);
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
