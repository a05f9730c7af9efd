//! The gateway over real sockets: Postgres, the embedded blob store, the in-process broker, and a small worker.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failure is the test's answer"
)]

mod account;
mod bad_input;
mod browsers;
mod catalogs;
mod deletes;
mod events;
mod fetching;
mod flow;
mod keys;
mod limits;
mod limits_of_models;
mod memory;
mod openai;
mod openapi;
mod outages;
mod ports;
mod regions;
mod results;
mod sessions;
mod slow;
mod studio;
mod support;
mod versions;
mod watchers;
