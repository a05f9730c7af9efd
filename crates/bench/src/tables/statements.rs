//! The statements, run one after the other as the fleet does.

use std::future::Future;
use std::time::{Duration, Instant};

use limekiln_jobs::{EditId, ModelName, Needs, Spec, WorkerId};
use limekiln_store::{Completion, NewWorker, Pruned, Store, Submission};

use super::{Error, Result, Row};

/// Edits of a batch, as the fleet's writers make them at most.
const BATCH: usize = 256;
const TTL: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);
/// Rows of one statement that prunes.
const PRUNED: u32 = 500;

/// Times of one statement.
struct Clock {
    row: Row,
    times_ms: Vec<f64>,
}

impl Clock {
    fn new(statement: &'static str) -> Self {
        let row = Row {
            statement,
            rows: 0,
            p50_ms: 0.0,
            max_ms: 0.0,
        };
        Self {
            row,
            times_ms: Vec::new(),
        }
    }

    /// Runs the statement once; `rows` counts what it answered.
    async fn time<T>(
        &mut self,
        statement: impl Future<Output = limekiln_store::Result<T>>,
        rows: impl FnOnce(&T) -> usize,
    ) -> Result<T> {
        let began = Instant::now();
        let answer = statement.await?;
        self.times_ms.push(began.elapsed().as_secs_f64() * 1e3);
        self.row.rows = self.row.rows.max(rows(&answer));
        Ok(answer)
    }

    fn row(mut self) -> Row {
        self.times_ms.sort_by(f64::total_cmp);
        let middle = self.times_ms.len() / 2;
        self.row.p50_ms = self.times_ms.get(middle).copied().unwrap_or(0.0);
        self.row.max_ms = self.times_ms.last().copied().unwrap_or(0.0);
        self.row
    }
}

/// Measures all of them.
///
/// # Errors
///
/// Postgres'.
pub(super) async fn measure(
    store: &Store,
    repeat: u32,
    mut observe: impl FnMut(&Row),
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut clocks = reads(store, repeat).await?;
    clocks.extend(flow(store, repeat).await?);
    clocks.extend(pruning(store, repeat).await?);
    for clock in clocks {
        let row = clock.row();
        observe(&row);
        rows.push(row);
    }
    Ok(rows)
}

/// What clients, operators and loops ask without changing anything.
async fn reads(store: &Store, repeat: u32) -> Result<Vec<Clock>> {
    let tenants = store.tables_tenants().await?;
    let (Some(first), Some(last)) = (tenants.first(), tenants.last()) else {
        return Err(Error::Empty("there are no tenants"));
    };
    let long = store.tables_early(first.0).await?;
    let short = store.tables_early(last.0).await?;
    let (Some(long), Some(short)) = (long, short) else {
        return Err(Error::Empty("a tenant has nothing queued"));
    };
    let mut counts = Clock::new("queue counts");
    let mut of_long = Clock::new("place, long line");
    let mut of_short = Clock::new("place, short line");
    let mut dead = Clock::new("dead letters");
    let mut unblock = Clock::new("unblock");
    for _ in 0..repeat {
        counts.time(store.queue_counts(), Vec::len).await?;
        of_long
            .time(store.edit_queue_position(long), |place| {
                place.is_some().into()
            })
            .await?;
        of_short
            .time(store.edit_queue_position(short), |place| {
                place.is_some().into()
            })
            .await?;
        dead.time(store.dead_letters(None, 20), |page| page.dead_letters.len())
            .await?;
        unblock
            .time(store.turns_unblock(None, 256), |(moved, _)| moved.len())
            .await?;
    }
    Ok(vec![counts, of_long, of_short, dead, unblock])
}

/// Batches from the submission to the end, each over as many tenants as it has edits.
async fn flow(store: &Store, repeat: u32) -> Result<Vec<Clock>> {
    let tenants = store.tables_tenants().await?;
    let model: ModelName = "null"
        .parse()
        .map_err(|_| Error::Empty("the model has no name"))?;
    let worker = WorkerId::new();
    let new = NewWorker {
        id: worker,
        name: "bench".to_owned(),
        models: vec![model.clone()],
        slots: (BATCH / 2) as u32,
        version: "0".to_owned(),
        limits: Default::default(),
        device: "none".to_owned(),
        can: Needs::default(),
    };
    store.worker_register(&new, TTL).await?;
    let mut submit = Clock::new("submit");
    let mut release = Clock::new("release");
    let mut full = Clock::new("release, full");
    let mut claim = Clock::new("claim");
    let mut settle = Clock::new("settle");
    for round in 0..repeat as usize {
        let submissions: Vec<Submission> = tenants
            .iter()
            .cycle()
            .skip(round * BATCH)
            .take(BATCH)
            .map(|&(tenant, image)| {
                Submission::new(tenant, image, model.clone(), Spec::new("make the sofa red"))
            })
            .collect();
        submit
            .time(store.edits_submit(&submissions), Vec::len)
            .await?;
        let released = release
            .time(store.edits_release(None, 8, BATCH as u32), Vec::len)
            .await?;
        full.time(store.edits_release(None, 8, BATCH as u32), Vec::len)
            .await?;
        let edits: Vec<EditId> = released.iter().map(|one| one.edit).collect();
        let claimed = claim
            .time(store.edits_claim(worker, &edits, TTL), |claimed| {
                claimed.iter().flatten().count()
            })
            .await?;
        let completions: Vec<Completion> = claimed
            .into_iter()
            .flatten()
            .map(|claimed| Completion {
                edit: claimed.edit,
                epoch: claimed.epoch,
                artifacts: Vec::new(),
                report: None,
                gpu_ms: 1,
            })
            .collect();
        settle
            .time(store.edits_complete(&completions), Vec::len)
            .await?;
    }
    Ok(vec![submit, release, full, claim, settle])
}

/// What goes by age.
async fn pruning(store: &Store, repeat: u32) -> Result<Vec<Clock>> {
    let mut events = Clock::new("event months");
    let mut edits = Clock::new("prune edits");
    let mut images = Clock::new("prune images");
    let mut checkpoints = Clock::new("prune checkpoints");
    let count = |pruned: &u64| usize::try_from(*pruned).unwrap_or(usize::MAX);
    let pruned = |pruned: &Pruned| count(&pruned.count);
    for _ in 0..repeat {
        events.time(store.events_months(7 * DAY), Vec::len).await?;
        edits
            .time(store.edits_prune(20 * DAY, None, None, PRUNED), pruned)
            .await?;
        images
            .time(store.images_expire(30 * DAY, None, PRUNED), pruned)
            .await?;
        checkpoints
            .time(store.checkpoints_expire(DAY, PRUNED), count)
            .await?;
    }
    Ok(vec![events, edits, images, checkpoints])
}
