//! The services that `dev` runs in its own process.

use std::path::Path;

use anyhow::Result;

use crate::args::ServicesArgs;

/// Postgres and S3 in the process, each only where no argument names a real one.
pub(crate) struct Embedded {
    #[cfg(feature = "embedded")]
    pub(crate) database: Option<limekiln_store::Embedded>,
    #[cfg(feature = "embedded")]
    pub(crate) s3: Option<limekiln_blobs::embedded::Embedded>,
}

#[cfg(feature = "embedded")]
impl Embedded {
    /// Starts each service that no argument names, with its data in `folder`.
    ///
    /// # Errors
    ///
    /// What is wrong with the folder.
    pub(crate) async fn start(folder: &Path, args: &ServicesArgs) -> Result<Self> {
        let database = match &args.database.database {
            Some(_) => None,
            None => {
                let folder = folder.join("postgres");
                let start = move || limekiln_store::Embedded::start(&folder);
                Some(tokio::task::spawn_blocking(start).await??)
            }
        };
        let s3 = match &args.s3.s3_endpoint {
            Some(_) => None,
            None => Some(limekiln_blobs::embedded::Embedded::start(&folder.join("s3"), 0).await?),
        };
        Ok(Self { database, s3 })
    }

    /// Stops them. Both write what they hold to disk first.
    pub(crate) async fn stop(self) {
        if let Some(s3) = self.s3 {
            s3.stop().await;
        }
        let stop = move || drop(self.database);
        if let Err(error) = tokio::task::spawn_blocking(stop).await {
            tracing::error!(%error, "the embedded Postgres did not stop in order");
        }
    }
}
