//! The coordinator on real Postgres, RabbitMQ and S3, and on what `limekiln dev` runs in process.
//!
//! Due times are moved in the database, never waited for.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where something is not as it should be"
)]

mod aside;
mod catalogs;
mod deletions;
#[cfg(feature = "embedded")]
mod embedded;
mod endpoint;
mod marker;
mod outage;
mod release;
mod retention;
mod running;
mod settings;
mod stalls;
mod submit;
mod sweep;
mod upkeep;
mod webhooks;
