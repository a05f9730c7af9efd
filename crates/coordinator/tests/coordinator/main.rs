//! The coordinator on real Postgres, RabbitMQ and S3, and on what `limekiln dev` runs in process.
//!
//! Due times are moved in the database, never waited for.

mod embedded;
mod endpoint;
mod home;
mod release;
mod retention;
mod submit;
mod upkeep;
mod webhooks;
