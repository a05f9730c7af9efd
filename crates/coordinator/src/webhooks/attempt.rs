//! One attempt at a delivery, and the record of its outcome.

use std::time::Duration;

use bytes::Bytes;
use limekiln_jobs::api::WebhookDelivery;
use limekiln_jobs::retry::Policy;
use limekiln_store::{Delivery, Store, Told};
use tokio::time::{Instant, sleep};

use super::client::{Client, Outcome};
use crate::Webhooks;
use crate::control_loop::jitter;

/// Each wait between two attempts is so many times the one before.
const BACKOFF_FACTOR: f32 = 5.0;
/// The longest wait between two attempts.
const BACKOFF_MOST: Duration = Duration::from_secs(24 * 3600);
/// At this age a failed attempt is the last, so that what waits behind a dead endpoint comes to an end, tried once at least.
const OLD: Duration = Duration::from_secs(7 * 24 * 3600);
/// Tries to write an outcome to Postgres.
const RECORD: Policy =
    Policy::new(Duration::from_millis(100), Duration::from_millis(1600)).tries(6);

/// One attempt at a delivery.
pub(crate) struct Attempt {
    pub(crate) store: Store,
    pub(crate) client: Client,
    pub(crate) settings: Webhooks,
    pub(crate) delivery: Delivery,
}

impl Attempt {
    pub(crate) async fn deliver(&self) -> Outcome {
        let delivery = &self.delivery;
        let (edit, catalog) = match &delivery.told {
            Told::Edit(view) => (Some((**view).clone()), None),
            Told::Catalog(view) => (None, Some((**view).clone())),
        };
        let body = match serde_json::to_vec(&WebhookDelivery {
            id: delivery.id,
            event: delivery.event.clone(),
            attempt: delivery.attempt,
            edit,
            catalog,
        }) {
            Ok(body) => Bytes::from(body),
            Err(error) => {
                return Outcome::Refused(format!("what ended can't be written as json: {error}"));
            }
        };
        let start = Instant::now();
        let outcome = self
            .client
            .deliver(delivery.id, &delivery.url, &delivery.secrets, body)
            .await;
        metrics::histogram!("limekiln_webhook_seconds").record(start.elapsed());
        outcome
    }

    /// Writes the outcome to Postgres. Where that fails the claim runs out, and the delivery is tried again.
    pub(crate) async fn record(&self, outcome: Outcome) {
        let delivery = &self.delivery;
        let Delivery { id, attempt, .. } = delivery;
        let of = delivery.told.id();
        let last = *attempt >= self.settings.attempts || delivery.age >= OLD;
        let (word, error) = match &outcome {
            Outcome::Delivered => ("delivered", ""),
            Outcome::Refused(reason) => ("refused", reason.as_str()),
            Outcome::Gone => ("refused", "the endpoint answered 410, gone"),
            Outcome::Failed(reason) | Outcome::Unreached(reason) if last => {
                ("given_up", reason.as_str())
            }
            Outcome::Failed(reason) | Outcome::Unreached(reason) => ("failed", reason.as_str()),
        };
        let sent = !matches!(outcome, Outcome::Refused(_));
        metrics::counter!("limekiln_webhooks_total", "outcome" => word).increment(1);
        match word {
            "delivered" | "failed" => {
                tracing::debug!(webhook = %id, of, attempt, error, "webhook {word}")
            }
            _ => tracing::warn!(webhook = %id, of, attempt, error, "webhook {word}"),
        }
        let mut backoff = RECORD.start();
        loop {
            let written = match word {
                "delivered" => self.store.webhook_done(delivery).await,
                "failed" => {
                    let wait = wait_after(&self.settings, *attempt);
                    self.store.webhook_retry(delivery, wait, error).await
                }
                _ => self.store.webhook_give_up(delivery, sent, error).await,
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
    let waits = Policy::new(settings.backoff, BACKOFF_MOST).factor(BACKOFF_FACTOR);
    jitter(waits.delay(attempt.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_span_three_days() {
        let settings = Webhooks::default();
        let wait_s = |attempt| wait_after(&settings, attempt).as_secs_f64();
        assert!((4.0..=6.0).contains(&wait_s(1)) && (20.0..=30.0).contains(&wait_s(2)));
        let days = (1..settings.attempts).map(wait_s).sum::<f64>() / 86_400.0;
        assert!((2.4..=3.8).contains(&days), "{days} days");
        let longest_s = BACKOFF_MOST.mul_f64(1.2).as_secs_f64();
        assert!((1..100).all(|attempt| wait_s(attempt) <= longest_s));
    }
}
