//! A server, and a bucket of one's own on it.

use std::sync::OnceLock;

use bytes::Bytes;
use limekiln_blobs::{Blobs, Key, Settings};
use limekiln_jobs::TenantId;
use limekiln_testbed::S3;

pub(crate) struct Home {
    pub(crate) settings: Settings,
    pub(crate) blobs: Blobs,
    pub(crate) tenant: TenantId,
}

impl Home {
    pub(crate) async fn embedded() -> Self {
        Self::on(S3::shared()).await
    }

    pub(crate) async fn independent() -> Self {
        static INDEPENDENT: OnceLock<S3> = OnceLock::new();
        Self::on(INDEPENDENT.get_or_init(S3::independent)).await
    }

    async fn on(server: &S3) -> Self {
        let settings = server.settings(&server.bucket());
        let blobs = Blobs::connect(&settings).await.unwrap();
        blobs.bucket_ensure().await.unwrap();
        Self {
            settings,
            blobs,
            tenant: TenantId::new(),
        }
    }

    /// Another client, with settings changed.
    pub(crate) async fn with(&self, change: impl FnOnce(&mut Settings)) -> Blobs {
        let mut settings = self.settings.clone();
        change(&mut settings);
        Blobs::connect(&settings).await.unwrap()
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
