//! Webhook deliveries: jobs of their own, so that a dead endpoint blocks nothing.

use std::time::Duration;

use limekiln_jobs::{EditId, EditView, TenantId, WebhookId};

use crate::{Result, Secret, Store, Write};

/// A delivery that is due, claimed for a while.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its id, the same in every attempt.
    pub id: WebhookId,
    /// The edit that ended.
    pub edit: EditId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where to.
    pub url: String,
    /// What to sign with.
    pub secret: Secret,
    /// Which attempt this is, from 1; names the claim.
    pub attempt: u32,
    /// `edit.succeeded`, `edit.failed` or `edit.cancelled`.
    pub event: String,
    /// The edit as it is now.
    pub view: EditView,
}

impl Store {
    /// Claims deliveries that are due for `ttl`; after that they are due again.
    pub async fn webhooks_claim(&self, limit: u32, ttl: Duration) -> Result<Vec<Delivery>> {
        let _ = (limit, ttl);
        todo!()
    }

    /// Delivered.
    pub async fn webhook_done(&self, id: WebhookId, attempt: u32) -> Result<Write> {
        let _ = (id, attempt);
        todo!()
    }

    /// Failed; due again after `delay`.
    pub async fn webhook_retry(&self, id: WebhookId, attempt: u32, delay: Duration, error: &str) -> Result<Write> {
        let _ = (id, attempt, delay, error);
        todo!()
    }

    /// Failed for good; the row stays visible.
    pub async fn webhook_give_up(&self, id: WebhookId, attempt: u32, error: &str) -> Result<Write> {
        let _ = (id, attempt, error);
        todo!()
    }

    /// Deliveries that were given up, as (delivery, edit, url, last error), newest first.
    pub async fn webhooks_given_up(&self, limit: u32) -> Result<Vec<(WebhookId, EditId, String, String)>> {
        let _ = limit;
        todo!()
    }
}
