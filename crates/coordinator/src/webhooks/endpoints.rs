//! How much may go to each endpoint: a circuit breaker, and shares.
//!
//! A dead endpoint must block nothing: few deliveries at once go to one endpoint, and once some in a row got no answer, one
//! at a time, with pauses that grow. What else is due for it stays where it is, untried. No tenant gets more than a share of
//! all deliveries on their way, however many endpoints it names.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_jobs::TenantId;
use limekiln_jobs::retry::Policy;
use limekiln_store::WebhookEndpoint;
use tokio::time::Instant;

use crate::Webhooks;

/// Failures in a row after which an endpoint counts as down.
const DOWN_AFTER: u32 = 3;
/// The longest pause between two tries of one that is down.
const DOWN_MOST: Duration = Duration::from_secs(60);
/// The most endpoints remembered; beyond, those that nothing goes to are forgotten.
const REMEMBERED: usize = 4096;

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
    per_tenant: usize,
    down: Policy,
    circuits: HashMap<WebhookEndpoint, Circuit>,
    /// Deliveries on their way by tenant; none of 0.
    tenants: HashMap<TenantId, usize>,
}

impl Endpoints {
    pub(crate) fn new(settings: &Webhooks) -> Self {
        Self {
            per_endpoint: settings.per_endpoint,
            per_tenant: settings.per_tenant,
            down: Policy::new(settings.down, DOWN_MOST),
            circuits: HashMap::new(),
            tenants: HashMap::new(),
        }
    }

    /// How many deliveries may set out for each endpoint, of those that are due and `free` altogether. Endpoints that come
    /// first go first; the last one says where to go on when that is all.
    pub(crate) fn plan(
        &self,
        due: Vec<(WebhookEndpoint, u32)>,
        mut free: usize,
        now: Instant,
    ) -> Vec<(WebhookEndpoint, u32)> {
        let mut shares = HashMap::new();
        let mut plan = Vec::new();
        for (endpoint, due) in due {
            let left = shares
                .entry(endpoint.tenant)
                .or_insert_with(|| self.per_tenant.saturating_sub(self.of(endpoint.tenant)));
            let room = self.room(&endpoint, now).min(*left).min(free);
            let room = due.min(u32::try_from(room).unwrap_or(u32::MAX));
            if room > 0 {
                *left -= room as usize;
                free -= room as usize;
                plan.push((endpoint, room));
            }
        }
        plan
    }

    fn of(&self, tenant: TenantId) -> usize {
        self.tenants.get(&tenant).copied().unwrap_or(0)
    }

    fn room(&self, endpoint: &WebhookEndpoint, now: Instant) -> usize {
        let Some(circuit) = self.circuits.get(endpoint) else {
            return self.per_endpoint;
        };
        if circuit.down_until.is_some_and(|until| now < until) {
            return 0;
        }
        // One that was down shows with a single delivery whether it is back.
        let most = if circuit.failures >= DOWN_AFTER {
            1
        } else {
            self.per_endpoint
        };
        most.saturating_sub(circuit.on_the_way)
    }

    /// A delivery sets out for the endpoint.
    pub(crate) fn began(&mut self, endpoint: &WebhookEndpoint) {
        if self.circuits.len() >= REMEMBERED && !self.circuits.contains_key(endpoint) {
            self.circuits.retain(|_, circuit| circuit.on_the_way > 0);
        }
        let circuit = self.circuits.entry(endpoint.clone()).or_default();
        circuit.on_the_way += 1;
        *self.tenants.entry(endpoint.tenant).or_default() += 1;
    }

    /// A delivery that set out has ended; `reached`: the endpoint answered, whatever it was.
    pub(crate) fn ended(&mut self, endpoint: &WebhookEndpoint, reached: bool, now: Instant) {
        if let Some(of_tenant) = self.tenants.get_mut(&endpoint.tenant) {
            *of_tenant -= 1;
            if *of_tenant == 0 {
                self.tenants.remove(&endpoint.tenant);
            }
        }
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
            let pause = self.down.delay(circuit.failures - DOWN_AFTER);
            circuit.down_until = Some(now + pause);
        }
    }

    /// How many endpoints count as down.
    pub(crate) fn down(&self) -> usize {
        let circuits = self.circuits.values();
        circuits
            .filter(|circuit| circuit.failures >= DOWN_AFTER)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Duration = Duration::from_secs(5);

    fn endpoints() -> Endpoints {
        Endpoints::new(&Webhooks {
            per_endpoint: 4,
            per_tenant: 6,
            down: DOWN,
            ..Webhooks::default()
        })
    }

    fn named(tenant: TenantId, host: &str) -> WebhookEndpoint {
        WebhookEndpoint {
            tenant,
            origin: format!("https://{host}"),
        }
    }

    /// What may set out when there is much of it.
    fn rooms(
        endpoints: &Endpoints,
        of: &[&WebhookEndpoint],
        free: usize,
        now: Instant,
    ) -> Vec<u32> {
        let due = of.iter().map(|one| ((*one).clone(), 100)).collect();
        let plan = endpoints.plan(due, free, now);
        let room = |one: &&WebhookEndpoint| {
            let mut plan = plan.iter();
            plan.find(|(planned, _)| planned == *one)
                .map_or(0, |(_, room)| *room)
        };
        of.iter().map(room).collect()
    }

    #[test]
    fn few_at_once_go_to_an_endpoint_and_to_the_endpoints_of_a_tenant() {
        let (mut endpoints, now) = (endpoints(), Instant::now());
        let (tenant, other) = (TenantId::new(), TenantId::new());
        let [a, b, c] = ["a", "b", "c"].map(|host| named(tenant, host));
        let d = named(other, "a");
        let all = [&a, &b, &c, &d];
        assert_eq!(rooms(&endpoints, &all, 100, now), [4, 2, 0, 4]);
        assert_eq!(rooms(&endpoints, &all, 5, now), [4, 1, 0, 0]);
        let one = endpoints.plan(
            vec![(a.clone(), 1), (b.clone(), 3), (c.clone(), 0)],
            100,
            now,
        );
        assert_eq!(
            one,
            [(a.clone(), 1), (b.clone(), 3)],
            "no more than are due"
        );
        for _ in 0..3 {
            endpoints.began(&a);
        }
        assert_eq!(rooms(&endpoints, &all, 100, now), [1, 2, 0, 4]);
        endpoints.ended(&a, true, now);
        assert_eq!(rooms(&endpoints, &all, 100, now), [2, 2, 0, 4]);
        for _ in 0..2 {
            endpoints.ended(&a, true, now);
        }
        assert!(endpoints.circuits.is_empty() && endpoints.tenants.is_empty());
    }

    #[test]
    fn one_that_fails_in_a_row_is_down_and_shows_with_one_delivery_that_it_is_back() {
        let (mut endpoints, mut now) = (endpoints(), Instant::now());
        let a = named(TenantId::new(), "a");
        let room = |endpoints: &Endpoints, now| rooms(endpoints, &[&a], 100, now)[0];
        for _ in 0..DOWN_AFTER {
            endpoints.began(&a);
            endpoints.ended(&a, false, now);
        }
        assert_eq!((room(&endpoints, now), endpoints.down()), (0, 1));
        now += DOWN;
        assert_eq!(room(&endpoints, now), 1);
        endpoints.began(&a);
        assert_eq!(room(&endpoints, now), 0, "only one tries");
        endpoints.ended(&a, false, now);
        now += DOWN;
        assert_eq!(room(&endpoints, now), 0, "down for longer");
        now += DOWN;
        assert_eq!(room(&endpoints, now), 1);
        endpoints.began(&a);
        endpoints.ended(&a, true, now);
        assert_eq!((room(&endpoints, now), endpoints.down()), (4, 0));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut endpoints, now) = (endpoints(), Instant::now());
        for n in 0..3 * REMEMBERED {
            let name = named(TenantId::new(), &n.to_string());
            endpoints.began(&name);
            endpoints.ended(&name, false, now);
        }
        assert!(endpoints.circuits.len() <= REMEMBERED && endpoints.tenants.is_empty());
    }
}
