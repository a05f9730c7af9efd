//! `limekiln drain`: the workers of this machine finish their edits and end.

use std::time::Duration;

use anyhow::{Result, bail};
use limekiln_jobs::Retryable;
use limekiln_jobs::api::Worker;
use limekiln_store::Store;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::services::{self, process_name};
use crate::args::DrainArgs;

/// How often the workers are listed.
const POLL: Duration = Duration::from_secs(1);

/// Waits until they have ended, or until `shutdown`.
///
/// # Errors
///
/// When some have not by then.
pub(crate) async fn run(args: &DrainArgs, shutdown: CancellationToken) -> Result<()> {
    let store = services::store(&args.database).await?;
    store.schema_check().await?;
    let deadline = Instant::now() + args.wait;
    loop {
        let left = match drain(&store).await {
            Ok(left) if left.is_empty() => return Ok(()),
            Ok(left) => left.iter().map(|worker| worker.busy).sum(),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "asking again");
                0
            }
            Err(error) => return Err(error.into()),
        };
        if Instant::now() >= deadline {
            bail!("workers are still there, with {left} edits; SIGTERM makes them hand those back");
        }
        tokio::select! {
            () = sleep(POLL) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// The workers of this machine that have not ended. Those that are not draining yet are told to.
async fn drain(store: &Store) -> limekiln_store::Result<Vec<Worker>> {
    let own = process_name("work");
    let mut left = store.worker_list().await?;
    left.retain(|worker| worker.alive && same_machine(&worker.name, &own));
    for worker in &left {
        if !worker.draining {
            tracing::info!(worker = %worker.id, busy = worker.busy, "draining");
            store.worker_drain(Some(worker.id), true).await?;
        }
    }
    Ok(left)
}

/// Whether two processes run the same command on the same machine: their names differ in the number behind the last
/// slash alone.
fn same_machine(one: &str, other: &str) -> bool {
    let place = |name: &str| name.rsplit_once('/').map(|(place, _)| place.to_owned());
    place(one).is_some() && place(one) == place(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_machine() {
        assert!(same_machine("work@pod-1/1", "work@pod-1/77"));
        for other in [
            "work@pod-11/1",
            "work@pod-2/1",
            "dev@pod-1/1",
            "work@pod-1",
            "",
        ] {
            assert!(!same_machine("work@pod-1/1", other), "{other}");
        }
    }
}
