//! Submits edits as they come, and reads how long they waited.

use limekiln_jobs::Spec;
use limekiln_store::Submission;
use limekiln_store::bench::ClassWaits;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::arrivals::Arrival;
use crate::error::{Error, Result};
use crate::sandbox::{Running, Sandbox, submit};

/// Steps of an edit, each second of it before it is shortened. Inferences of a fifth of a second are common.
const STEPS_A_SECOND: u32 = 5;

/// Submits them all, each at its time, and waits until they have ended.
///
/// # Errors
///
/// When an edit does not succeed.
pub(super) async fn run(
    arrivals: &[Arrival],
    faster: u32,
    sandbox: &Sandbox,
    running: &Running,
) -> Result<Vec<ClassWaits>> {
    let since = sandbox.store.now().await?;
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, arrival) in arrivals.iter().enumerate() {
        sleep_until(began + arrival.at).await;
        let submission = submission(sandbox, arrival, faster, number as u64);
        let submitter = running.submitter.clone();
        tasks.spawn(async move { submit(&submitter, submission).await });
        while let Some(done) = tasks.try_join_next() {
            done??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    sandbox.all_ended().await?;
    let waits = sandbox.store.class_waits(&sandbox.model, since).await?;
    match waits.iter().map(|class| class.unsuccessful).sum() {
        0 => Ok(waits),
        unsuccessful => Err(Error::Unsuccessful(unsuccessful)),
    }
}

fn submission(sandbox: &Sandbox, arrival: &Arrival, faster: u32, seed: u64) -> Submission {
    let (tenant, image) = sandbox.tenants[arrival.tenant as usize % sandbox.tenants.len()];
    let steps = arrival.length.seconds() * STEPS_A_SECOND;
    let step_ms = 1000 / STEPS_A_SECOND / faster;
    let spec = Spec {
        seed,
        ..Spec::new(format!("null: steps={steps} step_ms={step_ms}"))
    };
    Submission {
        class: arrival.class,
        ..Submission::new(tenant, image, sandbox.model.clone(), spec)
    }
}
