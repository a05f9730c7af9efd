//! A store, and a bucket of one's own in it.

use std::{path::Path, sync::OnceLock};

use bytes::Bytes;
use limekiln_blobs::{Blobs, Fsync, Key, Settings};
use limekiln_jobs::TenantId;
use limekiln_testbed::S3;
use tempfile::TempDir;

pub(crate) struct TestContext {
    pub(crate) blobs: Blobs,
    pub(crate) bucket: String,
    pub(crate) tenant: TenantId,
    store: Store,
}

enum Store {
    S3(Box<Settings>),
    Folder(TempDir),
}

impl TestContext {
    /// Our S3 server.
    pub(crate) async fn s3() -> Self {
        Self::on(S3::shared()).await
    }

    /// An independent S3 server.
    pub(crate) async fn swift() -> Self {
        static SWIFT: OnceLock<S3> = OnceLock::new();
        Self::on(SWIFT.get_or_init(S3::independent)).await
    }

    /// A folder.
    pub(crate) async fn folder_half() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::folder(dir.path(), "kiln", Fsync::Always);
        let blobs = blobs.await.unwrap();
        Self::new(blobs, "kiln".to_owned(), Store::Folder(dir)).await
    }

    async fn on(server: &S3) -> Self {
        let bucket = server.bucket();
        let settings = server.settings(&bucket);
        let blobs = Blobs::connect(&settings).await.unwrap();
        Self::new(blobs, bucket, Store::S3(Box::new(settings))).await
    }

    async fn new(blobs: Blobs, bucket: String, store: Store) -> Self {
        blobs.bucket_ensure().await.unwrap();
        Self {
            blobs,
            bucket,
            tenant: TenantId::new(),
            store,
        }
    }

    /// The settings of a client of the S3 server.
    pub(crate) fn settings(&self) -> &Settings {
        match &self.store {
            Store::S3(settings) => settings,
            Store::Folder(_) => panic!("a folder has no settings"),
        }
    }

    /// Where the files are.
    pub(crate) fn dir(&self) -> &Path {
        match &self.store {
            Store::S3(_) => panic!("a server has no folder"),
            Store::Folder(dir) => dir.path(),
        }
    }

    /// Another client of the S3 server, with settings changed.
    pub(crate) async fn with(&self, change: impl FnOnce(&mut Settings)) -> Blobs {
        let mut settings = self.settings().clone();
        change(&mut settings);
        Blobs::connect(&settings).await.unwrap()
    }

    /// The same bucket with a prefix before every key.
    pub(crate) async fn prefixed(&self, prefix: &str) -> Blobs {
        match &self.store {
            Store::S3(_) => {
                self.with(|settings| settings.prefix = prefix.to_owned())
                    .await
            }
            Store::Folder(_) => self.blobs.prefixed(prefix).unwrap(),
        }
    }

    pub(crate) fn key(&self, name: &str) -> Key {
        format!("t/{}/{name}", self.tenant).parse().unwrap()
    }
}

/// Bytes that no two seeds share and no codec shrinks.
pub(crate) fn noise(seed: u64, bytes: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut body = Vec::with_capacity(bytes + 8);
    while body.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        body.extend_from_slice(&state.to_le_bytes());
    }
    body.truncate(bytes);
    body.into()
}
