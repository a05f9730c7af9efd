//! Messages between the processes of the fleet: RabbitMQ through lapin, or the in-process backend of `limekiln dev`.
//!
//! A message is a hint and Postgres is the truth, so losing or doubling a message is harmless, and nothing here waits
//! for the broker longer than its settings say.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | `broker` | [`Broker`]: the handle with every operation, on either backend |
//! | `settings` | [`Settings`]: where RabbitMQ is, and how long to wait for it |
//! | `message` | [`Hint`], [`Stop`] and [`Update`]: what travels through the broker |
//! | `queue` | names, limits and [`Depth`] of the queues of edits |
//! | `consumer` | [`Consumer`]: receives announced edits while it has a free slot, interactive ones first |
//! | `delivery` | [`Delivery`]: one announced edit, settled by hand |
//! | `signals` | [`Wakes`], [`Stops`] and [`Offers`]: to coordinators, to workers, and to one worker; all may get lost |
//! | `subscription` | [`Subscription`]: live progress of one edit |
//! | `hub` | hands what reaches this process to its subscribers, on both backends |
//! | `per_class` | one value for each class of edits |
//! | `backend` | the choice between the two backends |
//! | `local` | the in-process backend |
//! | `rabbit` | the RabbitMQ backend: topology, connections that are restored, publishers, consumers |
//! | [`trace`] | spans that continue in another process |
//! | `health` | [`HealthReport`] of [`Broker::check`] |
//! | `error` | [`Error`] |
//!
//! # Metrics
//!
//! | name | what |
//! |---|---|
//! | `limekiln_broker_connected` | gauge per `link` (`publish`, `consume`): 1 while connected |
//! | `limekiln_broker_blocked` | gauge per `link`: 1 while RabbitMQ takes nothing for lack of memory or disk |
//! | `limekiln_broker_reconnects_total` | connections that were restored, per `link` |
//! | `limekiln_broker_announced_total` | edits announced and confirmed |
//! | `limekiln_broker_announce_failures_total` | edits whose announcement failed |
//! | `limekiln_broker_announce_seconds` | histogram: one batch, from the first publish to the last confirm |
//! | `limekiln_broker_deliveries_total` | edits delivered, per `class` |
//! | `limekiln_broker_undecodable_total` | messages that were no hint, sent to the dead letters |
//! | `limekiln_broker_revived_total` | queues without a leader that were deleted and declared again |
//! | `limekiln_broker_settlements_lost_total` | settlements that came too late for their channel |
//! | `limekiln_broker_live_published_total` | live messages and signals published |
//! | `limekiln_broker_live_dropped_total` | live messages and signals dropped: too many, or no connection |
//! | `limekiln_broker_lagged_total` | times a subscriber was told that it may have missed something |
//! | `limekiln_broker_watched` | gauge: edits with a subscriber in this process |

mod backend;
mod broker;
mod consumer;
mod delivery;
mod error;
mod health;
mod hub;
mod local;
mod message;
mod per_class;
mod queue;
mod rabbit;
mod settings;
mod signals;
mod subscription;
pub mod trace;

pub use broker::Broker;
pub use consumer::Consumer;
pub use delivery::{Delivery, Slot};
pub use error::{Error, Result};
pub use health::{Finding, HealthReport, Level};
pub use message::{Followed, Hint, Run, Stop, Update};
pub use queue::Depth;
pub use settings::Settings;
pub use signals::{Offers, Stops, Wakes};
pub use subscription::Subscription;
