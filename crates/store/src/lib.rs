//! Every SQL statement of Limekiln, and the embedded Postgres.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | `store`, `pooler` | [`Store`]: settings, pool, what the server is; poolers that can't be used |
//! | `migrate` | the schema brought up to date, while the fleet runs |
//! | `error`, `write` | [`Error`]; what a fenced write says ([`Write`]) |
//! | `conn`, `query`, `row`, `arrays` | a connection; a statement on it; columns as types; many edits as the arrays of one statement |
//! | `tenants`, `keys`, `sign_ins`, `images`, `sessions` | who asks, and what edits start from |
//! | `writer` | [`Writer`]: what comes at once is one statement, tried again through outages |
//! | `submission`, `submit` | edits come in: idempotency and limits, exact across gateways |
//! | `release`, `aside` | which edits are announced next, fairly, and what is announced again; the lines they stand in; bulk that gives its slot away |
//! | `catalogs` | many edits asked for at once, of which a few are under way |
//! | `claim`, `lease`, `outcome` | the worker's side: claim, renew, progress, checkpoint; complete, fail, hand back |
//! | `reap`, `control` | leases that ran out, retries that are due, turns that may start; cancel, retry by hand |
//! | `edits`, `events`, `artifacts` | what clients read |
//! | `intermediates` | what edits computed on their way, kept for further edits of the picture |
//! | `queue`, `usage`, `workers`, `fleet` | what operators read and set |
//! | `webhooks`, `webhook_secrets`, `retention` | deliveries; what signs them; what may be forgotten |
//! | `deletion`, `erasure` | what clients delete, and the list of blobs that go; tenants that are erased |
//! | `roles` | a role for each component, with the rights it needs |
//! | `mark`, `sweep`, `blob_rows` | whose the bucket is, which blobs may be deleted, which rows refer to blobs |
//! | `bench` | what only benchmarks need (feature `bench`) |
//! | `embedded` | Postgres in process, for `limekiln dev` |
//!
//! Long statements are in `sql/`, each in a file named as its function; the schema is in `migrations/`.
//!
//! # Speed
//!
//! Whoever has n edits at hand writes them in one statement. `cargo run --release -p limekiln-bench --example throughput --
//! URL [edits] [filled]` measures the statements alone. What `explain` taught, with a million finished edits in the tables:
//!
//! - One plan is kept for an empty table and a full one, so each statement has only one: connections have sequential scans,
//!   hash and merge joins off and keep generic plans; `is not distinct from 'running'` keeps the planner off a partial index
//!   it believes to be small; a `lateral` subquery makes a lookup by id a lookup by id. `src/tests/plans.rs` holds every hot
//!   statement to it, on an empty table and on a full one.
//! - Indexes of what is alive are partial, so their size is the queue's and not the history's.
//! - What waits is counted by line in `lines`, from which release, counts and places read. Statements on edits only add to a list
//!   what they changed (`line_changes`), so that no counter's row holds them up; the release folds it in.
//! - Pages, counts and pruning look at a bounded number of rows. `limekiln bench tables` measures all of it on full tables.
//!
//! # Metrics
//!
//! | name | what it counts |
//! |---|---|
//! | `limekiln_store_statement_seconds{statement}` | time of a statement, once it has a connection |
//! | `limekiln_store_rows_unreadable_total{what}` | rows that were left out: damaged, or of a newer version |
//! | `limekiln_disk_full_total{service="postgres"}` | statements that failed for lack of disk space |

mod arrays;
mod artifacts;
mod aside;
#[cfg(any(test, feature = "bench"))]
pub mod bench;
mod blob_rows;
mod catalogs;
mod claim;
mod conn;
mod control;
mod deletion;
mod edits;
#[cfg(feature = "embedded")]
mod embedded;
mod erasure;
mod error;
mod events;
mod files;
mod fleet;
mod images;
mod intermediates;
mod keys;
mod layers;
mod lease;
mod mark;
mod migrate;
mod openai_batches;
mod outcome;
mod pooler;
mod query;
mod queue;
mod reap;
mod release;
mod retention;
mod roles;
mod row;
mod secret;
mod sessions;
mod sign_ins;
mod sources;
mod store;
mod submission;
mod submit;
mod sweep;
mod tenants;
#[cfg(test)]
mod tests;
mod usage;
mod webhook_secrets;
mod webhooks;
mod workers;
mod write;
mod writer;

pub use artifacts::{ArtifactRef, NewArtifact, PictureId};
pub use aside::Asides;
pub use blob_rows::{BlobRow, BlobTable};
pub use catalogs::{
    CatalogCreated, CatalogDue, CatalogWork, NewBase, NewCatalog, NewPicture, NewRow, NewStep,
    PictureDue, PictureSettled, RowRequest, RowsAdded,
};
pub use claim::Claimed;
pub use control::{Cancel, Retried};
pub use deletion::{BlobDeletion, Deleted};
pub use edits::Filter;
#[cfg(feature = "embedded")]
pub use embedded::{Embedded, Unpacked};
pub use erasure::{Ended, TenantCounts};
pub use error::{Error, Result};
pub use files::{File, FileFilter, FilePart, FinishedFile};
pub use images::{Image, NewImage};
pub use intermediates::{Intermediate, NewIntermediate};
pub use keys::{Caller, Key, NewKey};
pub use layers::Layers;
pub use lease::{Checkpoint, Checkpointed, Progressed};
pub use limekiln_jobs::api::TenantLimits as Limits;
pub use mark::Mark;
pub use openai_batches::{
    NewOpenAiBatch, OpenAiBatch, OpenAiBatchCreated, OpenAiDue, OpenAiPhase, OpenAiRead,
    OpenAiRefused,
};
pub use outcome::{Completion, Failed};
pub use reap::{Moved, Reaped};
pub use release::{Announcement, Overdue};
pub use retention::Pruned;
pub use roles::{Component, Roles};
pub use secret::Secret;
pub use sessions::{Branched, HeadTo, HeadWrite, NewSession, SessionCreated};
pub use sources::{SOURCES_MAX, Source};
pub use store::{Server, Settings, Store};
pub use submission::{Earlier, Idempotency, Submission, Submitted};
pub use sweep::{Walked, WalkedBlob};
pub use tenants::Tenant;
pub use usage::UsageDay;
pub use webhook_secrets::{Rotated, WebhookSecrets};
pub use webhooks::{Delivery, Told, WebhookEndpoint};
pub use workers::{HeartbeatReply, NewWorker};
pub use write::{BlobRef, Write};
pub use writer::{Statement, WriteError, Writer};
