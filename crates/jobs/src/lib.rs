//! Jobs as pure data: what is asked for, what became of it, and which events may change it. No I/O, no clock.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | [`ids`] | `UUIDv7` newtypes, one per noun |
//! | [`digest`] | BLAKE3 of a blob |
//! | [`request`] | the body of `POST /v1/edits` and its checks |
//! | [`spec`] | what the engine is told; kept with the edit |
//! | [`state`] | the states of an edit, leases, failures |
//! | [`machine`] | `apply`: the only rule by which an edit changes, with its diagram |
//! | [`backoff`] | how long a failed edit waits |
//! | [`events`] | the edit's history as its watchers read it |
//! | [`live`] | what travels to watchers at once |
//! | [`edit`] | an edit as the API shows it |
//! | [`artifacts`] | what an edit leaves behind |

pub mod artifacts;
pub mod backoff;
pub mod digest;
pub mod edit;
pub mod events;
pub mod ids;
pub mod live;
pub mod machine;
pub mod request;
pub mod spec;
pub mod state;

pub use artifacts::{ArtifactKind, ArtifactView};
pub use backoff::backoff;
pub use digest::Digest;
pub use edit::{EditLinks, EditView};
pub use events::{EditEvent, EventKind};
pub use ids::{BatchId, EditId, ImageId, KeyId, SessionId, TenantId, WebhookId, WorkerId};
pub use live::Live;
pub use machine::{Effect, Event, Rejected, apply};
pub use request::{Class, EditRequest, Invalid};
pub use spec::{ModelName, Spec};
pub use state::{Epoch, Failure, FailureClass, Job, Lease, State, StateName, Wait};
