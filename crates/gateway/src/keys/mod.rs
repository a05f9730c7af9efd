//! API keys: what is remembered of them, and how often each may be used.
//!
//! | module | what is in it |
//! |---|---|
//! | `cache` | keys that were looked up lately, those that nobody has included |
//! | `buckets` | a bucket of requests for each key |
//! | `lives` | streams end with their key |
//! | `uses` | when keys were last used, written now and then |

mod buckets;
mod cache;
mod lives;
mod uses;

pub(crate) use buckets::{Buckets, Quota};
pub(crate) use cache::KeyCache;
pub(crate) use lives::{KeyLife, KeyLives};
pub(crate) use uses::KeyUses;
