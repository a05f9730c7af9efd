//! Waiting for a state with a deadline, where running out of it is an error of one round and not the end of all.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Asks `question` until it has an answer, and gives that.
///
/// # Errors
///
/// When there is none within `deadline`, or the question itself fails.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut question: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        let answer = question()
            .await
            .with_context(|| format!("while waiting for {what}"))?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
        ensure!(start.elapsed() < deadline, "waited {deadline:?} for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks `condition` until it holds.
///
/// # Errors
///
/// When it does not within `deadline`, or can't be asked.
pub async fn wait(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    wait_for(what, deadline, async || {
        Ok(condition().await?.then_some(()))
    })
    .await
}
