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
//! | `settings`, `signals`, `error` | [`Settings`]; [`Signals`], what tests wait for; [`Error`] |
//! | `context`, `admission` | what every edit shares; whether edits are taken |
//! | `consume` | messages in, as many as there are free slots |
//! | `ahead` | inputs fetched while all slots are busy |
//! | `attempt` | one edit from its message to its ack: claim, fetch, compute, checkpoint, upload, settle |
//! | `engine` | the thread that owns the editor, fed by a channel, and one beside it |
//! | [`alone`] | the engine without a fleet |
//! | `editor` | [`Editor`]: what that thread runs; [`LimeEditor`] |
//! | `resolve` | an edit's preset: resolved by the gateway, read back here |
//! | `limits` | what edits may cost, announced and checked |
//! | `memory` | what an edit holds in memory, taken from the worker's budget before |
//! | `prepared` | pictures read and made into requests, beside the engine |
//! | `reuse` | what earlier edits of a picture computed: looked up before, kept after |
//! | `ledger` | writes to Postgres, batched over all edits of the worker |
//! | `leases`, `heartbeat` | leases held here, renewed while steps advance |
//! | `stall` | calls of the engine that hang |
//! | `metrics` | the metrics, by name |

mod admission;
mod ahead;
pub mod alone;
mod attempt;
mod consume;
mod context;
mod editor;
mod engine;
mod error;
mod heartbeat;
mod leases;
mod ledger;
mod limits;
mod memory;
mod metrics;
mod prepared;
mod resolve;
mod reuse;
mod run;
mod settings;
mod signals;
mod stall;

pub use editor::{
    Beside, BoxError, Editor, Factory, Fit, Landed, LimeEditor, LimeModel, Output, Outputs,
    Progress, Render, RunId, Work,
};
pub use error::{Error, Result};
pub use prepared::{Prepared, Sizing, Speed};
pub use resolve::{Unready, can, resolve};
pub use run::run;
pub use settings::Settings;
pub use signals::{Signal, Signals};
