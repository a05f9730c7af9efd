//! Edits that came here and need what this worker can't do: they go back to the line, which knows by now that there are such
//! workers, and announces them to others alone.

use limekiln_jobs::EditId;

use crate::context::Context;

/// Gives an edit that could not be claimed back to the line, if that is for its needs.
pub(super) async fn give_back(ctx: &Context, edit: EditId) {
    match ctx.store.edits_return(ctx.worker, &[edit]).await {
        Ok(0) => {}
        Ok(_) => {
            tracing::info!(%edit, "this worker can't do what the edit needs; it is announced to others");
            ctx.broker.wake();
        }
        // It is announced again after a while.
        Err(error) => tracing::debug!(%edit, %error, "not given back to the line"),
    }
}
