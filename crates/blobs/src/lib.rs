//! Images, results and checkpoints: on S3, or in a folder of this machine.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | `blobs` | [`Blobs`]: the one handle, on either half |
//! | `s3` | the half that talks to an S3 server: client, requests, what the SDK's errors mean |
//! | `folder` | the half that `limekiln dev` uses: a blob is a file |
//! | `download` | [`Download`]: a blob on its way, and its check |
//! | `steady` | [`SteadyDownload`]: a large one that goes on where its connection broke |
//! | `listing` | [`Page`]: what a listing gives |
//! | `key` | [`Key`] and [`Prefix`]: validated names of blobs, always under a tenant or a model |
//! | `settings` | where the bucket is, credentials, timeouts |
//! | `probe` | `limekiln doctor`'s check |
//! | `cache` | [`Cache`]: verified blobs on local disk, bounded, least recently used out first |
//! | `metered` | deadline and metrics of one operation |
//! | `error` | [`Error`] |
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
//! | `limekiln_disk_full_total{service}` | calls that failed for lack of disk space, of the store (`blobs`) or the `cache` |

mod blobs;
mod cache;
mod download;
mod error;
mod folder;
mod key;
mod listing;
mod metered;
mod probe;
mod s3;
mod settings;
mod steady;

pub use blobs::{Blobs, Stored, presign_elsewhere};
pub use cache::{Cache, CacheStats, Pinned};
pub use download::{Download, Head};
pub use error::{Error, Result};
pub use folder::Fsync;
pub use key::{Key, Prefix};
pub use listing::{Listed, Page};
pub use probe::{Check, Report};
pub use settings::{Credentials, Settings, Timeouts};
pub use steady::SteadyDownload;
