//! Webhooks: jobs of their own, so that a dead endpoint holds up no edit.

mod address;
mod attempt;
mod client;
mod deliveries;
mod endpoints;
mod outward;
mod resolve;
mod signature;

pub use address::{Refused, is_public, url_check};
pub(crate) use client::Client;
pub(crate) use deliveries::Deliveries;
pub(crate) use outward::{allowed, causes, client};
pub(crate) use resolve::{Lookup, system};
