//! Deliveries that are due: claimed for a while, tried, and then done, due again later, or given up.
//!
//! Only what can set out at once is claimed, endpoint by endpoint, so nothing waits here and nothing counts as an attempt
//! but a request. Each is delivered at least once: when a coordinator dies between the endpoint's answer and the record of
//! it, the delivery is sent again with the same id.

use std::collections::HashMap;
use std::time::Duration;

use limekiln_store::{Delivery, Store, WebhookEndpoint};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::attempt::Attempt;
use super::client::{Client, Outcome};
use super::endpoints::Endpoints;
use crate::control_loop::{ControlLoop, Next};
use crate::{Error, Webhooks};

/// Endpoints looked at by one statement.
const LOOK: u32 = 1024;
/// How long deliveries that end together are gathered before the next look.
const GATHER: Duration = Duration::from_millis(20);
/// What a claim lasts longer than the request, for the record of its outcome.
const RECORD: Duration = Duration::from_secs(30);
/// How long those under way may take when the process ends.
const FINISH: Duration = Duration::from_secs(3);

/// Delivers webhooks.
pub(crate) struct Deliveries {
    store: Store,
    client: Client,
    settings: Webhooks,
    every: Duration,
    endpoints: Endpoints,
    /// Where the last look ended; none: at the end.
    after: Option<WebhookEndpoint>,
    /// Each returns whether the endpoint was reached.
    under_way: JoinSet<bool>,
    /// The endpoints of those under way.
    going_to: HashMap<Id, WebhookEndpoint>,
}

impl Deliveries {
    pub(crate) fn new(store: Store, client: Client, settings: Webhooks, every: Duration) -> Self {
        Self {
            store,
            client,
            endpoints: Endpoints::new(&settings),
            settings,
            every,
            after: None,
            under_way: JoinSet::new(),
            going_to: HashMap::new(),
        }
    }

    fn start(&mut self, delivery: Delivery) {
        let endpoint = delivery.endpoint.clone();
        self.endpoints.began(&endpoint);
        let attempt = Attempt {
            store: self.store.clone(),
            client: self.client.clone(),
            settings: self.settings.clone(),
            delivery,
        };
        let task = self.under_way.spawn(async move {
            let outcome = attempt.deliver().await;
            let reached = !matches!(outcome, Outcome::Unreached(_));
            attempt.record(outcome).await;
            reached
        });
        self.going_to.insert(task.id(), endpoint);
    }

    fn ended(&mut self, ended: Result<(Id, bool), JoinError>) {
        let (task, reached) = ended.unwrap_or_else(|error| {
            tracing::error!(%error, "a webhook's task died; the delivery comes again");
            (error.id(), true)
        });
        if let Some(endpoint) = self.going_to.remove(&task) {
            self.endpoints.ended(&endpoint, reached, Instant::now());
        }
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
        while let Some(ended) = self.under_way.try_join_next_with_id() {
            self.ended(ended);
        }
        metrics::gauge!("limekiln_webhook_endpoints_down").set(self.endpoints.down() as f64);
        let free = self.free();
        if free == 0 {
            return Ok(Next::After(self.every));
        }
        let began = Instant::now();
        let per_endpoint = u32::try_from(self.settings.per_endpoint).unwrap_or(u32::MAX);
        let due = self
            .store
            .webhooks_due(self.after.as_ref(), LOOK, per_endpoint)
            .await?;
        let from_the_start = self.after.is_none();
        self.after = match due.last() {
            Some((last, _)) if due.len() >= LOOK as usize => Some(last.clone()),
            _ => None,
        };
        let plan = self.endpoints.plan(due, free, began);
        let planned: u32 = plan.iter().map(|(_, room)| room).sum();
        if let Some((last, _)) = plan.last() {
            if planned as usize >= free {
                self.after = Some(last.clone());
            }
            let ttl = self.settings.timeout + RECORD;
            for delivery in self.store.webhooks_claim(&plan, ttl).await? {
                self.start(delivery);
            }
        }
        Ok(if from_the_start && self.after.is_none() {
            Next::After(self.every)
        } else {
            Next::paced(began)
        })
    }

    async fn pause(&mut self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            // Here is a place for what else is due.
            Some(ended) = self.under_way.join_next_with_id() => {
                self.ended(ended);
                sleep(GATHER).await;
            }
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
