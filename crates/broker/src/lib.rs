//! Messages: RabbitMQ through lapin, and the in-process twin that `limekiln dev` runs on.
//!
//! A message is a hint. Postgres is the truth, so losing or doubling a message is harmless, and nothing here waits for
//! the broker longer than its settings say.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | `broker` | [`Broker`]: the one handle; every operation, on either twin |
//! | `settings` | [`Settings`]: where RabbitMQ is, and how long to wait for it |
//! | `hint` | [`Hint`]: the message that names one edit |
//! | `consumer` | [`Consumer`] and [`Delivery`]: edits to do, acked by hand, interactive ones first |
//! | `signals` | [`Wakes`] and [`Stops`]: lossy broadcasts to coordinators and to workers |
//! | `subscription` | [`Subscription`]: live progress of one edit |
//! | `hub` | where signals and progress fan out within the process, on both twins |
//! | `local` | the in-process twin |
//! | `rabbit` | RabbitMQ: topology, connections that come back, publishing, taking, watching |
//! | [`trace`] | spans that go on in another process |
//! | `report` | [`Report`] for `doctor`, [`Depth`] of a queue |
//! | `error` | [`Error`] and its [`Kind`] |
//!
//! # Metrics
//!
//! | name | what |
//! |---|---|
//! | `limekiln_broker_connected` | gauge per `link` (`publish`, `consume`): 1 while connected |
//! | `limekiln_broker_blocked` | gauge per `link`: 1 while RabbitMQ takes nothing for lack of memory or disk |
//! | `limekiln_broker_reconnects_total` | connections that came back, per `link` |
//! | `limekiln_broker_announced_total` | edits announced and confirmed |
//! | `limekiln_broker_announce_failures_total` | edits whose announcement failed |
//! | `limekiln_broker_announce_seconds` | histogram: one batch, from the first publish to the last confirm |
//! | `limekiln_broker_deliveries_total` | edits delivered, per `class` |
//! | `limekiln_broker_undecodable_total` | messages that were no hint, sent to the dead letters |
//! | `limekiln_broker_revived_total` | queues without a leader that were deleted and declared anew |
//! | `limekiln_broker_settlements_lost_total` | acks and the like that came too late for their connection |
//! | `limekiln_broker_live_published_total` | live messages and signals published |
//! | `limekiln_broker_live_dropped_total` | live messages and signals dropped: too many, or no connection |
//! | `limekiln_broker_lagged_total` | times a watcher was told that it may have missed something |
//! | `limekiln_broker_watched` | gauge: edits watched by this process |

mod broker;
mod consumer;
mod error;
mod hint;
mod hub;
mod local;
mod rabbit;
mod report;
mod settings;
mod signals;
mod subscription;
pub mod trace;

pub use broker::Broker;
pub use consumer::{Consumer, Delivery};
pub use error::{Error, Kind, Result};
pub use hint::{Hint, Input};
pub use report::{Depth, Finding, Level, Report};
pub use settings::Settings;
pub use signals::{Stop, Stops, Wakes};
pub use subscription::{Subscription, Update};
