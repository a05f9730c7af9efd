//! Deliveries that are due: claimed for a while, tried, and then done, due again later, or given up.
//!
//! Each is delivered at least once: when a coordinator dies between the endpoint's answer and the record of it, the
//! delivery is sent again with the same id.

use std::collections::VecDeque;
use std::time::Duration;

use limekiln_store::{Delivery, Store};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::attempt::Attempt;
use super::client::{Client, Outcome};
use super::endpoints::{Admission, Endpoint, Endpoints};
use crate::control_loop::{ControlLoop, Next};
use crate::{Error, Webhooks};

/// The most claimed deliveries that wait for a place at their endpoints, and at a single one.
const WAITING: usize = 512;
const WAITING_PER_ENDPOINT: usize = 64;
/// How long those under way may take when the process ends.
const FINISH: Duration = Duration::from_secs(3);

/// A claimed delivery.
struct Claimed {
    delivery: Delivery,
    endpoint: Endpoint,
    /// From then on another coordinator may claim it.
    until: Instant,
}

/// What a task returns when it ends.
struct Ended {
    endpoint: Endpoint,
    /// Whether the endpoint answered as it should; none when it wasn't tried.
    reached: Option<bool>,
}

/// Delivers webhooks.
pub(crate) struct Deliveries {
    store: Store,
    client: Client,
    settings: Webhooks,
    every: Duration,
    endpoints: Endpoints,
    /// Claimed deliveries whose endpoints are busy.
    waiting: VecDeque<Claimed>,
    under_way: JoinSet<Ended>,
}

impl Deliveries {
    pub(crate) fn new(store: Store, client: Client, settings: Webhooks, every: Duration) -> Self {
        let endpoints = Endpoints::new(settings.per_endpoint);
        Self {
            store,
            client,
            settings,
            every,
            endpoints,
            waiting: VecDeque::new(),
            under_way: JoinSet::new(),
        }
    }

    /// A claim outlasts the delivery and some waiting for the endpoint.
    fn claim_ttl(&self) -> Duration {
        self.settings.timeout * 4 + Duration::from_secs(30)
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        match ended {
            Ok(Ended {
                endpoint,
                reached: Some(reached),
            }) => self.endpoints.ended(&endpoint, reached, Instant::now()),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "a webhook's task died; the delivery comes again")
            }
        }
    }

    /// Starts the delivery; gives it back when it has to wait for its endpoint.
    fn start(&mut self, claimed: Claimed) -> Option<Claimed> {
        if Instant::now() + self.settings.timeout >= claimed.until {
            // Too late to be done under this claim. Whoever claims it next tries it.
            return None;
        }
        let tried = match self.endpoints.admit(&claimed.endpoint, Instant::now()) {
            Admission::Busy if self.waiting_for(&claimed.endpoint) < WAITING_PER_ENDPOINT => {
                return Some(claimed);
            }
            Admission::Go => Ok(()),
            Admission::Busy => Err("not tried: more is sent to the endpoint than it takes"),
            Admission::Down => {
                Err("not tried: the endpoint did not answer again and again just before")
            }
        };
        let attempt = Attempt {
            store: self.store.clone(),
            client: self.client.clone(),
            settings: self.settings.clone(),
            delivery: claimed.delivery,
        };
        let endpoint = claimed.endpoint;
        self.under_way.spawn(async move {
            let outcome = match tried {
                Ok(()) => attempt.deliver().await,
                Err(reason) => Outcome::Failed(reason.to_owned()),
            };
            let reached = tried
                .is_ok()
                .then_some(!matches!(outcome, Outcome::Unreached(_)));
            attempt.record(outcome).await;
            Ended { endpoint, reached }
        });
        None
    }

    /// How many wait for this endpoint.
    fn waiting_for(&self, endpoint: &Endpoint) -> usize {
        let waiting = self.waiting.iter();
        waiting.filter(|one| one.endpoint == *endpoint).count()
    }

    fn free(&self) -> usize {
        self.settings
            .concurrency
            .saturating_sub(self.under_way.len())
    }
}

impl ControlLoop for Deliveries {
    const NAME: &'static str = "webhooks";

    async fn round(&mut self) -> Result<Next, Error> {
        while let Some(ended) = self.under_way.try_join_next() {
            self.ended(ended);
        }
        for _ in 0..self.waiting.len() {
            if self.free() == 0 {
                break;
            }
            let Some(claimed) = self.waiting.pop_front() else {
                break;
            };
            let still_waiting = self.start(claimed);
            self.waiting.extend(still_waiting);
        }
        let room = self.free().min(WAITING.saturating_sub(self.waiting.len()));
        if room == 0 {
            return Ok(Next::After(self.every));
        }
        let ttl = self.claim_ttl();
        let until = Instant::now() + ttl;
        let claimed = self
            .store
            .webhooks_claim(u32::try_from(room).unwrap_or(u32::MAX), ttl)
            .await?;
        let more = claimed.len() >= room;
        for delivery in claimed {
            let endpoint = Endpoint::new(delivery.tenant, &delivery.url);
            let waiting = self.start(Claimed {
                delivery,
                endpoint,
                until,
            });
            self.waiting.extend(waiting);
        }
        Ok(if more && self.free() > 0 {
            Next::Now
        } else {
            Next::After(self.every)
        })
    }

    async fn pause(&mut self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            // Something waits for a place, and here is one.
            Some(ended) = self.under_way.join_next(), if !self.waiting.is_empty() || self.free() == 0 => self.ended(ended),
        }
    }

    async fn finish(&mut self) {
        let ended = timeout(FINISH, async {
            while self.under_way.join_next().await.is_some() {}
        })
        .await;
        if ended.is_err() {
            tracing::info!(
                deliveries = self.under_way.len(),
                "webhooks are left to the other coordinators"
            );
        }
    }
}
