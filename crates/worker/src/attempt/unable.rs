//! Edits that were announced here and need what this worker can't do: they go back to the line, for another.

use std::sync::atomic::Ordering;
use std::time::Duration;

use limekiln_jobs::EditId;
use limekiln_jobs::retry::Policy;
use tokio::time::sleep;

use crate::context::Context;

/// How long such an edit is kept after many others of its kind. Where those who can do it are all at work, it would go round
/// the idle ones as fast as it is announced.
const PAUSES: Policy = Policy::new(Duration::from_millis(50), Duration::from_secs(2));

/// Gives an edit that could not be claimed back to the line, if that is for its needs. The first at once.
pub(super) async fn give_back(ctx: &Context, edit: EditId) {
    let before = ctx.unable.load(Ordering::Relaxed);
    if before > 0 {
        tokio::select! {
            () = sleep(PAUSES.delay(before - 1)) => {}
            () = ctx.closing.cancelled() => {}
        }
    }
    match ctx.store.edits_return(ctx.worker, &[edit]).await {
        Ok(0) => {}
        Ok(_) => {
            ctx.unable.fetch_add(1, Ordering::Relaxed);
            tracing::info!(%edit, "this worker can't do what the edit needs; it is announced to others");
            ctx.broker.wake();
        }
        // It is announced again after a while.
        Err(error) => tracing::debug!(%edit, %error, "not given back to the line"),
    }
}

/// Notes that an edit was claimed.
pub(super) fn claimed(ctx: &Context) {
    ctx.unable.store(0, Ordering::Relaxed);
}
