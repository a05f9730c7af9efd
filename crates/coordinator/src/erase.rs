//! Tenants that an operator had erased: their edits are cancelled and deleted, then their images, sessions and the rest, in
//! batches, so that nobody waits for a lock. Their blobs are on the list of [`deletions`](crate::deletions).

use std::time::Duration;

use limekiln_broker::Broker;
use limekiln_jobs::TenantId;
use limekiln_store::Store;
use tokio::time::Instant;

use crate::Error;
use crate::control_loop::{ControlLoop, Next};

/// The most rows of one statement.
const LIMIT: u32 = 500;
/// The most tenants of one round.
const TENANTS: u32 = 16;

/// The loop that erases, a batch of each tenant a round.
pub(crate) struct Erase {
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) every: Duration,
}

impl Erase {
    /// The next step. Those that are done already find nothing to do.
    async fn step(&self, tenant: TenantId) -> Result<(), Error> {
        let store = &self.store;
        let cancelled = store.tenant_edits_cancel(tenant, LIMIT).await?;
        for one in cancelled.iter().filter(|one| one.was_running) {
            self.broker.stop(one.edit, one.epoch);
        }
        if !cancelled.is_empty() {
            tracing::info!(%tenant, edits = cancelled.len(), "cancelled, for their tenant is being erased");
            // Their places in the window are free.
            self.broker.wake();
            return Ok(());
        }
        // Edits refer to images and sessions, so those come after the last edit; so do batches.
        let mut deleted = ("edits", store.tenant_edits_delete(tenant, LIMIT).await?);
        if deleted.1 == 0 {
            deleted = ("images", store.tenant_images_delete(tenant, LIMIT).await?);
        }
        if deleted.1 == 0 {
            deleted = (
                "sessions",
                store.tenant_sessions_delete(tenant, LIMIT).await?,
            );
        }
        if deleted.1 == 0 {
            deleted = ("files", store.tenant_files_delete(tenant, LIMIT).await?);
        }
        if deleted.1 == 0 {
            deleted = (
                "catalog rows",
                store.tenant_catalog_rows_delete(tenant, LIMIT).await?,
            );
        }
        if deleted.1 == 0 {
            deleted = ("batches", store.tenant_batches_delete(tenant, LIMIT).await?);
        }
        let (what, count) = deleted;
        if count > 0 {
            metrics::counter!("limekiln_erased_total", "what" => what).increment(count);
            return Ok(());
        }
        if store.tenant_erase_finish(tenant).await? {
            metrics::counter!("limekiln_erased_total", "what" => "tenants").increment(1);
            tracing::info!(%tenant, "erased");
        }
        Ok(())
    }
}

impl ControlLoop for Erase {
    const NAME: &'static str = "erase";

    async fn round(&mut self) -> Result<Next, Error> {
        let began = Instant::now();
        let tenants = self.store.tenants_erasing(TENANTS).await?;
        let mut failed = None;
        for tenant in &tenants {
            // One that can't be erased keeps no other.
            if let Err(error) = self.step(*tenant).await {
                tracing::debug!(%tenant, %error, "not erased yet");
                failed = Some(error);
            }
        }
        match failed {
            Some(error) => Err(error),
            None if tenants.is_empty() => Ok(Next::After(self.every)),
            None => Ok(Next::paced(began)),
        }
    }
}
