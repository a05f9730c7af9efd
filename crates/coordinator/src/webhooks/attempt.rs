//! One attempt at a delivery, and the record of its outcome.

use std::time::Duration;

use bytes::Bytes;
use limekiln_jobs::retry::Policy;
use limekiln_jobs::{EditView, WebhookId};
use limekiln_store::{Delivery, Store};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::client::{Client, Outcome};
use crate::Webhooks;
use crate::control_loop::jitter;

/// The longest wait between two attempts.
const BACKOFF_MOST: Duration = Duration::from_secs(3600);
/// Tries to write an outcome to Postgres.
const RECORD: Policy =
    Policy::new(Duration::from_millis(100), Duration::from_millis(1600)).tries(6);

/// The body of a delivery.
#[derive(Serialize)]
struct Body<'a> {
    id: WebhookId,
    #[serde(rename = "type")]
    event: &'a str,
    attempt: u32,
    edit: &'a EditView,
}

/// One attempt at a delivery.
pub(crate) struct Attempt {
    pub(crate) store: Store,
    pub(crate) client: Client,
    pub(crate) settings: Webhooks,
    pub(crate) delivery: Delivery,
}

impl Attempt {
    pub(crate) async fn deliver(&self) -> Outcome {
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

    /// Writes the outcome to Postgres. Where that fails the claim runs out, and the delivery is tried again.
    pub(crate) async fn record(&self, outcome: Outcome) {
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
        let mut backoff = RECORD.start();
        loop {
            let written = match word {
                "delivered" => self.store.webhook_done(*id, *attempt).await,
                "failed" => {
                    let wait = wait_after(&self.settings, *attempt);
                    self.store.webhook_retry(*id, *attempt, wait, error).await
                }
                _ => self.store.webhook_give_up(*id, *attempt, error).await,
            };
            let failed = match written {
                Ok(write) if write.is_applied() => return,
                Ok(_) => {
                    return tracing::debug!(webhook = %id, attempt, "another coordinator has the delivery now");
                }
                Err(failed) => failed,
            };
            let Some(delay) = backoff.after(&failed) else {
                return tracing::warn!(webhook = %id, error = %failed, "a delivery's outcome was not written; it is sent again");
            };
            tracing::debug!(webhook = %id, error = %failed, "a delivery's outcome is written again");
            sleep(delay).await;
        }
    }
}

/// The wait for the attempt after this one.
fn wait_after(settings: &Webhooks, attempt: u32) -> Duration {
    let waits = Policy::new(settings.backoff, BACKOFF_MOST).factor(3.0);
    jitter(waits.delay(attempt.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_an_hour() {
        let settings = Webhooks::default();
        let waits: Vec<_> = (1..=20)
            .map(|attempt| wait_after(&settings, attempt).as_secs_f64())
            .collect();
        assert!((4.0..=6.0).contains(&waits[0]), "{waits:?}");
        assert!((12.0..=18.0).contains(&waits[1]), "{waits:?}");
        assert!(
            (2880.0..=4320.0).contains(&waits[7]) && waits.iter().all(|wait| *wait <= 4320.0),
            "{waits:?}"
        );
    }
}
