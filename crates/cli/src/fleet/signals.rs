//! SIGTERM and Ctrl-C as a token.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The status of a process that a second signal ended.
const INTERRUPTED: i32 = 130;

/// Cancelled by the first SIGTERM or SIGINT; the second ends the process.
///
/// # Errors
///
/// When signals can't be listened to.
pub(crate) fn shutdown() -> Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be caught")?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let mut again = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if again {
                std::process::exit(INTERRUPTED);
            }
            again = true;
            tracing::info!("stopping; once more to stop at once");
            cancelled.cancel();
        }
    });
    Ok(token)
}
