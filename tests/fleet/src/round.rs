//! One round: edits in flight, a fault among them, and the check of everything afterwards.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::check::{self, Counts};
use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::load::{self, Accepted, LoadRun};
use crate::member::Editor;
use crate::random::Random;
use crate::wait::wait;

/// How long an edit may take after the fault, whatever it was.
const END: Duration = Duration::from_secs(90);

/// Runs one, while a supervisor starts again what gives up at its start.
///
/// # Errors
///
/// The first thing that does not hold.
pub async fn run(cluster: &Cluster, fault: Fault, random: Random) -> Result<Counts> {
    tokio::select! {
        counts = unsupervised(cluster, fault, random) => counts,
        never = cluster.fleet.supervise() => match never? {},
    }
}

async fn unsupervised(cluster: &Cluster, fault: Fault, mut random: Random) -> Result<Counts> {
    let round = cluster.round_start(fault.name());
    let mut planned = match cluster.editor {
        Editor::Null => load::null(&mut random, &round, &cluster.images, 260, 60),
        Editor::Lime => load::lime(&round, &cluster.rooms, 3),
    };
    if fault == Fault::SteppingAside {
        load::mostly_bulk(&mut planned);
    }
    // Held back until the first part is there, or the first of it would be done before the last is sent.
    pause(cluster, true).await?;
    let mut load = LoadRun::start(planned, &cluster.clients);
    load.first_accepted().await?;
    pause(cluster, false).await?;
    wait("an edit to run", Duration::from_secs(30), async || {
        is_busy(cluster).await
    })
    .await?;
    let moment = match cluster.editor {
        Editor::Null => random.millis(0..1200),
        Editor::Lime => random.millis(0..2500),
    };
    tokio::time::sleep(moment).await;
    if cluster.editor == Editor::Null {
        let in_flight = check::in_flight(&cluster.namespace.postgres).await?;
        ensure!(
            in_flight >= 200,
            "only {in_flight} edits are in flight when the fault comes"
        );
    }
    let own = fault
        .inject(cluster, &mut random)
        .await
        .context("the fault itself")?;
    let mut edits = answers(cluster, load).await?;
    edits.extend(own);
    cluster.fleet.ready().await?;
    check::all_ended(&cluster.namespace.postgres, END).await?;
    let counts = check::check(&cluster.namespace, &round, &edits, fault.attempts()).await?;
    references_check(cluster, &edits).await?;
    cluster.fleet.is_whole()?;
    cluster.workers_ready().await?;
    Ok(counts)
}

/// Whether an edit runs.
async fn is_busy(cluster: &Cluster) -> Result<bool> {
    let busy = sqlx::query_scalar("select exists (select from edits where state = 'running')");
    Ok(busy.fetch_one(&cluster.namespace.postgres).await?)
}

/// Holds edits back, or lets them go.
async fn pause(cluster: &Cluster, paused: bool) -> Result<()> {
    let pause = sqlx::query("update fleet set paused = $1").bind(paused);
    pause.execute(&cluster.namespace.postgres).await?;
    Ok(())
}

/// The load's answers; when they do not come, what hangs is more telling than that somebody waited.
async fn answers(cluster: &Cluster, load: LoadRun) -> Result<Vec<Accepted>> {
    match load.finish().await {
        Ok(edits) => Ok(edits),
        Err(error) => {
            cluster
                .fleet
                .is_whole()
                .with_context(|| format!("{error:#}"))?;
            check::all_ended(&cluster.namespace.postgres, Duration::from_secs(1))
                .await
                .with_context(|| format!("{error:#}"))?;
            Err(error)
        }
    }
}

/// That edits resumed after a fault have the very bytes of undisturbed ones.
async fn references_check(cluster: &Cluster, edits: &[Accepted]) -> Result<()> {
    for edit in edits {
        let Some(reference) = edit
            .planned
            .reference
            .as_ref()
            .and_then(|reference| cluster.references.get(reference))
        else {
            continue;
        };
        let digest = check::result_digest(&cluster.namespace.postgres, edit.id).await?;
        ensure!(
            digest == *reference,
            "edit {} has other bytes than the same edit undisturbed",
            edit.id
        );
    }
    Ok(())
}
