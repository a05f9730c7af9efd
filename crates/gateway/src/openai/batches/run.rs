//! The loop that works on batches: any gateway may, and holds a lease meanwhile, so that each is one's at a time.

use std::time::Duration;

use limekiln_store::{OpenAiDue, OpenAiPhase};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ingest::{self, Ended};
use crate::State;
use crate::problem::Problem;

/// How long a batch is a gateway's after it last wrote.
pub(super) const LEASE: Duration = Duration::from_secs(120);
/// How often it is looked for what is to be done, where nothing says that there is something.
const EVERY: Duration = Duration::from_secs(1);
/// How long a batch waits that could not be worked on.
const PUT_OFF: Duration = Duration::from_secs(10);
/// Batches that a gateway works on at once.
const AT_ONCE: usize = 4;

/// Works on batches until the gateway closes. Whatever is under way then is another's once its lease has ended.
pub(crate) async fn run(state: State) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            () = state.closing.cancelled() => return,
            () = state.batches.notified() => {}
            () = sleep(EVERY) => {}
            Some(_) = tasks.join_next() => {}
        }
        while tasks.try_join_next().is_some() {}
        let free = AT_ONCE.saturating_sub(tasks.len());
        if free == 0 {
            continue;
        }
        let store = &state.services.store;
        match store.openai_batches_claim(free as u32, LEASE).await {
            Ok(claimed) => {
                for due in claimed {
                    tasks.spawn(attempt(state.clone(), due));
                }
            }
            // An outage is waited for.
            Err(error) => tracing::debug!(%error, "batches can't be looked for"),
        }
    }
}

async fn attempt(state: State, due: OpenAiDue) {
    let store = &state.services.store;
    let (outcome, wait) = match work(&state, &due).await {
        // Somebody may have cancelled it meanwhile, which is to be seen to at once.
        Ok(outcome) => (outcome, Duration::ZERO),
        Err(problem) => {
            tracing::warn!(batch = %due.id, code = problem.code.as_str(), detail = problem.detail, "a batch waits for another try");
            ("put_off", PUT_OFF)
        }
    };
    if let Err(error) = store.openai_batch_put_off(&due, wait).await {
        tracing::debug!(batch = %due.id, %error, "it comes when its lease has ended");
    }
    metrics::counter!("limekiln_openai_batches_total", "outcome" => outcome).increment(1);
}

/// Does what is to be done; how that ended.
async fn work(state: &State, due: &OpenAiDue) -> Result<&'static str, Problem> {
    let store = &state.services.store;
    Ok(match due.phase {
        OpenAiPhase::Read => match ingest::read(state, due).await? {
            Ended::Whole => {
                store.openai_batch_start(due).await?;
                state.services.broker.wake();
                "started"
            }
            Ended::Wrong(errors) => {
                let errors = errors.iter().map(serde_json::to_value);
                let errors: Result<Vec<_>, _> = errors.collect();
                let errors = errors.map_err(|error| Problem::internal(&error))?;
                store.openai_batch_fail(due, &errors).await?;
                "failed"
            }
            Ended::Lost => "lost",
        },
        OpenAiPhase::Stop => {
            store.openai_batch_stop(due).await?;
            state.services.broker.wake();
            "stopped"
        }
        OpenAiPhase::Finish => {
            store.openai_batch_finish(due).await?;
            "finished"
        }
    })
}
