//! Jobs as pure data: what is asked for, what became of it, and which events may change it. No I/O; only [`retry`] reads
//! a clock.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | [`ids`] | `UUIDv7` newtypes, one for each noun |
//! | [`digest`] | BLAKE3 of a blob |
//! | [`class`], [`finish`], [`reuse`] | how urgent an edit is; how its result is made; what it takes over of earlier ones |
//! | [`request`] | the body of `POST /v1/edits` and its checks |
//! | [`spec`] | what the engine is told; kept with the edit |
//! | [`state`] | the states of an edit, leases, failures |
//! | [`machine`] | `apply`: the only rule by which an edit changes |
//! | [`catalog`] | many edits asked for at once: their templates and the quality gate |
//! | [`session`] | the turns of a session, and where its head may go |
//! | [`backoff`] | how long a failed edit waits |
//! | [`events`] | the edit's history as its watchers read it |
//! | [`live`] | what watchers are sent at once |
//! | [`artifacts`] | the files that an edit leaves behind |
//! | [`retry`] | what kinds of errors there are, and how calls to services that fail are tried again |
//! | [`api`] | everything else that the HTTP API takes and gives |
//! | [`cost`] | what an edit costs |
//! | [`needs`] | what an edit needs of the program that runs it |
//! | `text_enum`, `word` | enums that are stored and sent as words, those of newer versions too |
//!
//! # An edit's life
//!
//! ```text
//!  on a turn under way            on an image, or on a turn that succeeded
//!          |                                     |
//!          v            ParentSucceeded          v             RetryDue
//!  +---------------+ --------------------> +----------+ <----------------- +----------------+
//!  | waiting, turn |                       |  queued  |                    | waiting, retry |
//!  +---------------+                       +----------+                    +----------------+
//!      |       ^                            |        ^                             ^
//!      |       |                      Claim |        | HandBack, Expire [1]        |
//!      |       |               (epoch += 1) v        |                             |
//!      |       |                           +--------------+    Fail, ours [2]      |
//!      |       |                           |   running    | -----------------------+
//!      |       |                           | lease, epoch | <-+
//!      |       |                           +--------------+ --+ Renew, Progress, Checkpoint, StartOver
//!      | Parent-                            |            |
//!      | Ended |                   Complete |            | Fail, the user's; at the last attempt
//!      |       | Retry,                     v            | Fail, ours, and Expire [1]
//!      |       | of a turn            +-----------+      |
//!      |       |                      | succeeded |      |
//!      v       |                      +-----------+      v
//!  +--------------------------------------------------------+  Retry, of any other
//!  |                         failed                         | ---------------------> queued
//!  +--------------------------------------------------------+    (attempts = 0)
//!
//!  waiting, queued, running -- Cancel --> cancelled, at once
//! ```
//!
//! 1. A death charges one attempt, unless a newer checkpoint was stored since the claim (and the edit has not started over as
//!    often as it may be tried); a hand-back never does.
//! 2. A failure of ours always charges one, and waits as [`fn@backoff`] says.
//!
//! Whatever a worker does names the epoch of its claim and is refused under any other, so after the reaper, a hand-back or a
//! cancel it changes nothing. `tests/properties.rs` holds the machine to its rules over random histories, and
//! `tests/protocol/` walks through every order of releases, messages, claims and deaths of one edit on two workers.

pub mod api;
pub mod artifacts;
pub mod backoff;
pub mod catalog;
pub mod class;
pub mod cost;
pub mod digest;
pub mod events;
pub mod finish;
pub mod ids;
pub mod live;
pub mod machine;
pub mod needs;
pub mod request;
pub mod retry;
pub mod reuse;
pub mod session;
pub mod source;
pub mod spec;
pub mod state;
mod text_enum;
mod word;

pub use api::{EditLinks, EditView, Invalid};
pub use artifacts::{ArtifactKind, ArtifactView};
pub use backoff::backoff;
pub use class::Class;
pub use cost::Cost;
pub use digest::Digest;
pub use events::{EditEvent, EventKind, Progress};
pub use finish::{Carry, Finish};
pub use ids::{
    BatchId, EditId, FileId, FleetId, ImageId, IntermediateId, KeyId, SessionId, SourceId,
    TenantId, WebhookId, WorkerId,
};
pub use live::Live;
pub use machine::{Effect, Event, Rejected, apply};
pub use needs::Needs;
pub use request::EditRequest;
pub use retry::{ErrorKind, Retryable};
pub use reuse::Reuse;
pub use spec::{ModelName, Resolved, Spec};
pub use state::{Epoch, Failure, FailureClass, Job, Lease, State, StateName, Wait};
pub use text_enum::UnknownName;
pub use word::Word;
