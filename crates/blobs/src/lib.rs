//! Images, results and checkpoints on S3, and the embedded server.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | `settings` | where the bucket is, credentials, timeouts |
//! | `key` | [`Key`] and [`Prefix`]: validated names of blobs, always under a tenant or a model |
//! | `client` | [`Blobs`]: the SDK's client, made from the settings |
//! | `get` | get, head, download, presign |
//! | `put` | whole, or in parts |
//! | `sweep` | list, delete, and abandoned uploads |
//! | `probe` | the bucket's creation, and `limekiln doctor`'s check |
//! | `cache` | [`Cache`]: verified blobs on local disk, bounded, least recently used out first |
//! | `error`, `fault` | [`Error`]; what the SDK's errors mean |
//! | `embedded` | the S3 server of `limekiln dev` (feature `embedded`) |
//!
//! # Metrics
//!
//! | name | |
//! |---|---|
//! | `limekiln_blob_requests_total{operation, outcome}` | requests; the outcome is `ok` or a kind of error |
//! | `limekiln_blob_request_seconds{operation}` | how long they took, all tries included |
//! | `limekiln_blob_read_bytes_total`, `limekiln_blob_written_bytes_total` | bytes of blobs |
//! | `limekiln_cache_hits_total`, `limekiln_cache_misses_total`, `limekiln_cache_evicted_total` | the local cache |
//! | `limekiln_cache_size_bytes` | what it holds |

mod cache;
mod client;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod fault;
mod get;
mod key;
mod probe;
mod put;
mod settings;
mod sweep;

pub use cache::{Cache, Counts, Pinned};
pub use client::Blobs;
pub use error::{Error, Result};
pub use get::{Download, Head};
pub use key::{Key, Prefix};
pub use probe::{Check, Report};
pub use put::Stored;
pub use settings::{Credentials, Settings, Timeouts};
pub use sweep::{Listed, Page};
