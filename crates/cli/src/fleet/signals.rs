//! SIGTERM and SIGINT, turned into a cancellation token.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit status after a second signal, as shells report SIGINT.
const INTERRUPTED: i32 = 130;

/// A token that the first SIGTERM or SIGINT cancels. The second signal ends the process at once.
///
/// # Errors
///
/// When the signals can't be caught.
pub(crate) fn shutdown() -> Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be caught")?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let mut repeated = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if repeated {
                std::process::exit(INTERRUPTED);
            }
            repeated = true;
            tracing::info!("stopping; once more to stop at once");
            cancelled.cancel();
        }
    });
    Ok(token)
}
