//! Waiting for a state, never for a time.

use std::time::{Duration, Instant};

use limekiln_jobs::retry::Policy;

/// The delays between two questions.
const POLLS: Policy = Policy::new(Duration::from_millis(4), Duration::from_millis(50));

/// Asks `condition` until it holds.
///
/// # Panics
///
/// When it does not hold within `deadline`; `what` says in the message what was waited for.
pub async fn until(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> bool) {
    until_some(what, deadline, async || condition().await.then_some(())).await;
}

/// Asks `question` until it has an answer, and gives that.
///
/// # Panics
///
/// When there is none within `deadline`; `what` says in the message what was waited for.
pub async fn until_some<T>(
    what: &str,
    deadline: Duration,
    mut question: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    let mut polls = POLLS.start();
    loop {
        if let Some(answer) = question().await {
            return answer;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} for {what}");
        tokio::time::sleep(polls.delay()).await;
    }
}
