//! Messages: RabbitMQ through lapin, and the in-process twin that `limekiln dev` runs on.
//!
//! A message is a hint. Postgres is the truth, so losing or doubling a message is harmless, and nothing here waits for
//! the broker longer than its settings say.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | [`broker`](Broker) | [`Broker`]: the one handle; every operation, on either twin |
//! | `settings` | [`Settings`]: where RabbitMQ is, and how long to wait for it |
//! | `hint` | [`Hint`]: the message that names one edit; its bytes on the wire |
//! | `consumer` | [`Consumer`] and [`Delivery`]: edits to do, acked by hand, interactive ones first |
//! | `signals` | [`Wakes`] and [`Stops`]: lossy broadcasts to coordinators and to workers |
//! | `watch` | [`Watch`]: live progress of one edit |
//! | `report` | [`Report`] for `doctor`, [`Depth`] of a queue |
//! | `error` | [`Error`] and its [`Kind`] |

mod broker;
mod consumer;
mod error;
mod hint;
mod report;
mod settings;
mod signals;
mod watch;

pub use broker::Broker;
pub use consumer::{Consumer, Delivery};
pub use error::{Error, Kind, Result};
pub use hint::{Hint, Input};
pub use report::{Depth, Finding, Level, Report};
pub use settings::Settings;
pub use signals::{Stop, Stops, Wakes};
pub use watch::{Seen, Watch};
