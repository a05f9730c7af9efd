//! The worker: takes announced edits, claims them under a lease, runs the engine, returns the results.
//!
//! An edit is claimed in Postgres, which is the truth; the message that named it is a hint. Everything written later
//! carries the lease's epoch, so that a worker whose lease was taken changes nothing. The lease is renewed while steps
//! advance: a worker that dies and an engine that hangs are both rescued by the reaper.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | `run` | [`run`]: a worker from its registration to its end |
//! | `settings`, `signal`, `error` | [`Settings`]; [`Signals`], what tests wait for; [`Error`] |
//! | `intake` | messages in, as many as there is room for |
//! | `flow` | one edit: fetch, compute, checkpoint, deliver |
//! | `editor` | [`Editor`]: what the engine's thread runs; [`LimeEditor`], [`NullEditor`] |
//! | `engine` | the thread itself, fed by a channel, and its pulse |
//! | `prepared` | pictures read and made into requests beside the engine |
//! | `ledger` | what edits have to say to Postgres, in as few statements as there can be |
//! | `leases`, `heartbeat` | leases held here, renewed while steps advance |
//! | `metrics` | names of what is counted |

mod editor;
mod engine;
mod error;
mod flow;
mod heartbeat;
mod intake;
mod leases;
mod ledger;
mod metrics;
mod prepared;
mod run;
mod settings;
mod signal;

pub use editor::{
    BoxError, Drawing, Editor, Factory, LimeEditor, LimeModel, NullEditor, Output, Outputs,
    Progress, Ticket, Work,
};
pub use error::{Error, Result};
pub use prepared::{Prepared, Sizing};
pub use run::run;
pub use settings::Settings;
pub use signal::{Signal, Signals};
