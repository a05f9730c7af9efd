//! What holds on every store, or on every S3 server.

mod access;
mod put_get;
mod unfinished;

pub(crate) use access::*;
pub(crate) use put_get::*;
pub(crate) use unfinished::*;

use limekiln_blobs::{Blobs, Key, Prefix};

const MIB: u64 = 1 << 20;

async fn keys(blobs: &Blobs, prefix: &Prefix) -> Vec<Key> {
    let page = blobs.list(prefix, None, 1_000).await.unwrap();
    assert_eq!(page.next, None);
    page.blobs.into_iter().map(|listed| listed.key).collect()
}
