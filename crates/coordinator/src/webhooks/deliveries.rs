//! Deliveries that are due: claimed for a while, tried, and then done, due again later, or given up.
//!
//! Each is delivered at least once: a coordinator that dies between the endpoint's answer and the note of it makes it
//! come again, with the same id.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use limekiln_jobs::{EditView, Retryable, WebhookId};
use limekiln_store::{Delivery, Store};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Client, Outcome};
use super::endpoints::{Admission, Endpoint, Endpoints};
use crate::duty::{Duty, Next, jitter};
use crate::{Error, Webhooks};

/// The longest wait between two attempts.
const BACKOFF_MOST: Duration = Duration::from_secs(3600);
/// The most that wait here for their endpoints, and for a single one.
const HELD: usize = 512;
const HELD_PER_ENDPOINT: usize = 64;
/// How long those under way may take when the process ends.
const FINISH: Duration = Duration::from_secs(3);
/// Tries to note an outcome in Postgres, and the first rest between them.
const NOTES: u32 = 6;
const NOTE_REST: Duration = Duration::from_millis(100);

/// The body of a delivery.
#[derive(Serialize)]
struct Body<'a> {
    id: WebhookId,
    #[serde(rename = "type")]
    event: &'a str,
    attempt: u32,
    edit: &'a EditView,
}

struct Held {
    delivery: Delivery,
    endpoint: Endpoint,
    /// From then on somebody else may claim it.
    until: Instant,
}

/// What a task says when it ends.
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
    held: VecDeque<Held>,
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
            held: VecDeque::new(),
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
    fn start(&mut self, held: Held) -> Option<Held> {
        if Instant::now() + self.settings.timeout >= held.until {
            // Too late to be done under this claim. Whoever claims it next tries it.
            return None;
        }
        let tried = match self.endpoints.admit(&held.endpoint, Instant::now()) {
            Admission::Busy if self.waiting(&held.endpoint) < HELD_PER_ENDPOINT => {
                return Some(held);
            }
            Admission::Go => Ok(()),
            Admission::Busy => Err("not tried: more is sent to the endpoint than it takes"),
            Admission::Down => {
                Err("not tried: the endpoint did not answer again and again just before")
            }
        };
        let task = Task {
            store: self.store.clone(),
            client: self.client.clone(),
            settings: self.settings.clone(),
            delivery: held.delivery,
        };
        let endpoint = held.endpoint;
        self.under_way.spawn(async move {
            let outcome = match tried {
                Ok(()) => task.deliver().await,
                Err(reason) => Outcome::Failed(reason.to_owned()),
            };
            let reached = tried
                .is_ok()
                .then_some(!matches!(outcome, Outcome::Unreached(_)));
            task.note(outcome).await;
            Ended { endpoint, reached }
        });
        None
    }

    /// How many wait here for this endpoint.
    fn waiting(&self, endpoint: &Endpoint) -> usize {
        self.held
            .iter()
            .filter(|held| held.endpoint == *endpoint)
            .count()
    }

    fn free(&self) -> usize {
        self.settings
            .concurrency
            .saturating_sub(self.under_way.len())
    }
}

impl Duty for Deliveries {
    const NAME: &'static str = "webhooks";

    async fn round(&mut self) -> Result<Next, Error> {
        while let Some(ended) = self.under_way.try_join_next() {
            self.ended(ended);
        }
        for _ in 0..self.held.len() {
            if self.free() == 0 {
                break;
            }
            let Some(held) = self.held.pop_front() else {
                break;
            };
            if let Some(held) = self.start(held) {
                self.held.push_back(held);
            }
        }
        let room = self.free().min(HELD.saturating_sub(self.held.len()));
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
            if let Some(held) = self.start(Held {
                delivery,
                endpoint,
                until,
            }) {
                self.held.push_back(held);
            }
        }
        Ok(if more && self.free() > 0 {
            Next::Now
        } else {
            Next::After(self.every)
        })
    }

    async fn rest(&mut self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            // Something waits for a place: the next one that is free.
            Some(ended) = self.under_way.join_next(), if !self.held.is_empty() || self.free() == 0 => self.ended(ended),
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

struct Task {
    store: Store,
    client: Client,
    settings: Webhooks,
    delivery: Delivery,
}

impl Task {
    async fn deliver(&self) -> Outcome {
        let Delivery {
            id,
            url,
            secret,
            attempt,
            event,
            view,
            ..
        } = &self.delivery;
        let body = match serde_json::to_vec(&Body {
            id: *id,
            event,
            attempt: *attempt,
            edit: view,
        }) {
            Ok(body) => Bytes::from(body),
            Err(error) => {
                return Outcome::Refused(format!("the edit can't be written as json: {error}"));
            }
        };
        let start = Instant::now();
        let outcome = self
            .client
            .deliver(url, secret.expose().as_bytes(), body)
            .await;
        metrics::histogram!("limekiln_webhook_seconds").record(start.elapsed());
        outcome
    }

    /// Writes down how it went, again and again while Postgres is away; else the claim runs out and it comes again.
    async fn note(&self, outcome: Outcome) {
        let Delivery {
            id, edit, attempt, ..
        } = &self.delivery;
        let last = *attempt >= self.settings.attempts;
        let (word, error) = match &outcome {
            Outcome::Delivered => ("delivered", ""),
            Outcome::Refused(reason) => ("refused", reason.as_str()),
            Outcome::Failed(reason) | Outcome::Unreached(reason) if last => {
                ("given_up", reason.as_str())
            }
            Outcome::Failed(reason) | Outcome::Unreached(reason) => ("failed", reason.as_str()),
        };
        metrics::counter!("limekiln_webhooks_total", "outcome" => word).increment(1);
        match word {
            "delivered" | "failed" => {
                tracing::debug!(webhook = %id, %edit, attempt, error, "webhook {word}")
            }
            _ => tracing::warn!(webhook = %id, %edit, attempt, error, "webhook {word}"),
        }
        let mut rest = NOTE_REST;
        for note in 1..=NOTES {
            let written = match word {
                "delivered" => self.store.webhook_done(*id, *attempt).await,
                "failed" => {
                    self.store
                        .webhook_retry(*id, *attempt, backoff(&self.settings, *attempt), error)
                        .await
                }
                _ => self.store.webhook_give_up(*id, *attempt, error).await,
            };
            match written {
                Ok(write) if write.is_applied() => return,
                Ok(_) => {
                    return tracing::debug!(webhook = %id, attempt, "somebody else has the delivery now");
                }
                Err(error) if error.is_transient() && note < NOTES => {
                    tracing::debug!(webhook = %id, %error, "a delivery's outcome is written again");
                    sleep(jitter(rest)).await;
                    rest *= 2;
                }
                Err(error) => {
                    return tracing::warn!(webhook = %id, %error, "a delivery's outcome was not written; it comes again");
                }
            }
        }
    }
}

/// The wait after this attempt: three times as long each time.
fn backoff(settings: &Webhooks, attempt: u32) -> Duration {
    let factor = 3_u32.saturating_pow(attempt.saturating_sub(1));
    jitter(settings.backoff.saturating_mul(factor).min(BACKOFF_MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_an_hour() {
        let settings = Webhooks::default();
        let waits: Vec<_> = (1..=20)
            .map(|attempt| backoff(&settings, attempt).as_secs_f64())
            .collect();
        assert!((4.0..=6.0).contains(&waits[0]), "{waits:?}");
        assert!((12.0..=18.0).contains(&waits[1]), "{waits:?}");
        assert!(
            (2880.0..=4320.0).contains(&waits[7]) && waits.iter().all(|wait| *wait <= 4320.0),
            "{waits:?}"
        );
    }
}
