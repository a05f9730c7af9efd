//! Verified blobs on local disk.
//!
//! | module | what is in it |
//! |---|---|
//! | `index` | [`Cache`], and what it holds: the least recently used goes first |
//! | `disk` | its files |
//! | `fetch` | from the cache, or from the bucket into the cache |

mod disk;
mod fetch;
mod index;

pub use index::{Cache, CacheStats, Pinned};
