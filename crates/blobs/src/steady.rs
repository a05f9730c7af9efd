//! A large blob over a network that breaks: gone on with from where it broke.

use std::time::Duration;

use bytes::Bytes;
use limekiln_jobs::retry::{Backoff, Policy};

use crate::{Blobs, Download, Error, Head, Key, Result};

/// Delays before a download goes on, and tries of which none brings a byte: some two minutes.
const RETRY: Policy = Policy::new(Duration::from_millis(500), Duration::from_secs(20)).tries(10);

/// A blob on its way, piece by piece, that goes on where its connection broke. Its length is checked, its content is not.
#[derive(Debug)]
pub struct SteadyDownload {
    blobs: Blobs,
    key: Key,
    /// What was found at first.
    head: Option<Head>,
    arrived_bytes: u64,
    open: Option<Download>,
    backoff: Backoff,
}

impl SteadyDownload {
    pub(crate) fn new(blobs: Blobs, key: Key) -> Self {
        Self {
            blobs,
            key,
            head: None,
            arrived_bytes: 0,
            open: None,
            backoff: RETRY.start(),
        }
    }

    /// The next piece; none after the last. Errors: what does not pass, an outage that lasts, a blob that was replaced
    /// meanwhile.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.piece().await {
                Ok(Some(piece)) => {
                    self.arrived_bytes += piece.len() as u64;
                    self.backoff.reset();
                    return Ok(Some(piece));
                }
                Ok(None) => return Ok(None),
                Err(error) => {
                    let Some(delay) = self.backoff.after(&error) else {
                        return Err(error);
                    };
                    tracing::warn!(key = %self.key, %error, arrived_bytes = self.arrived_bytes, "a download broke, and goes on");
                    self.open = None;
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>> {
        // A connection may break behind the last byte.
        let whole = |head: &Head| self.arrived_bytes > 0 && head.bytes == self.arrived_bytes;
        if self.open.is_none() && self.head.as_ref().is_some_and(whole) {
            return Ok(None);
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let open = self.blobs.open(&self.key, self.arrived_bytes).await?;
                let head = self.head.get_or_insert_with(|| open.head.clone());
                if (head.bytes, head.modified) != (open.head.bytes, open.head.modified) {
                    return Err(Error::Other {
                        operation: "go on sending a blob",
                        message: format!("`{}` was replaced meanwhile; try again", self.key),
                    });
                }
                none.insert(open)
            }
        };
        open.next().await.transpose()
    }
}
