//! Images, results and checkpoints on S3, and the embedded server.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | `settings` | where the bucket is, credentials, timeouts |
//! | `key` | [`Key`] and [`Prefix`]: validated names of blobs, always under a tenant or a model |
//! | `client` | [`Blobs`]: connect, get, head, presign |
//! | `put` | single and multipart uploads |
//! | `sweep` | list, delete, and abandoned uploads |
//! | `probe` | the bucket's creation, and `limekiln doctor`'s check |
//! | `cache` | [`Cache`]: verified blobs on local disk, bounded, least recently used out first |
//! | `error` | [`Error`], its [`Kind`] |
//! | `embedded` | the S3 server of `limekiln dev` (feature `embedded`) |

mod cache;
mod client;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod key;
mod probe;
mod put;
mod settings;
mod sweep;

pub use cache::{Cache, Counts, Pinned};
pub use client::{Blobs, Download, Head};
pub use error::{Error, Kind, Result};
pub use key::{Key, Prefix};
pub use probe::{Check, Report};
pub use put::Stored;
pub use settings::{Credentials, Settings, Timeouts};
pub use sweep::{Listed, Page};
