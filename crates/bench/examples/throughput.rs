//! Edits a second through Postgres' statements alone: `throughput postgres://.. [edits] [filled]`.
//!
//! A submitter, a releaser and four workers, each with what it has at hand in one statement, as the fleet does it; then the
//! same with `filled` finished edits in the tables.
#![expect(clippy::print_stdout, reason = "it is a benchmark")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use limekiln_jobs::{Class, Digest, EditId, ModelName, Needs, Spec, TenantId, WorkerId};
use limekiln_store::{
    Completion, Limits, NewImage, NewWorker, Progressed, Result, Settings, Store, Submission,
    Submitted,
};
use tokio::sync::mpsc;

const TENANTS: usize = 50;
const BATCH: usize = 256;

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .ok_or("usage: throughput URL [edits] [filled]")?;
    let edits = arguments.next().map_or(Ok(20_000), |edits| edits.parse())?;
    let filled = arguments.next().map_or(Ok(0), |filled| filled.parse())?;
    let store = Store::connect(&Settings::new(url)).await?;
    store.migrate().await?;
    if filled > 0 {
        let begun = Instant::now();
        store.edits_fill(50, filled).await?;
        println!("filled {filled} in {:.0} s", begun.elapsed().as_secs_f64());
    }
    run(&store, edits).await?;
    Ok(())
}

async fn run(store: &Store, edits: usize) -> Result<()> {
    let model: ModelName = "bench"
        .parse()
        .unwrap_or_else(|_| unreachable!("it is a name"));
    let mut starts = Vec::new();
    for _ in 0..TENANTS {
        let tenant = store
            .tenant_create(&TenantId::new().to_string(), &Limits::UNLIMITED)
            .await?
            .id;
        let digest = Digest::of(tenant.to_string().as_bytes());
        let image = NewImage {
            key: format!("t/{tenant}/images/{digest}"),
            digest,
            media_type: "image/png".to_owned(),
            bytes: 1000,
            width: 64,
            height: 64,
        };
        starts.push((tenant, store.image_create(tenant, &image).await?.id));
    }
    let (announce, announced) = mpsc::channel::<EditId>(4096);
    let announced = Arc::new(tokio::sync::Mutex::new(announced));
    let done = Arc::new(AtomicU64::new(0));
    let released = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, announced, done, model) = (
            store.clone(),
            announced.clone(),
            done.clone(),
            model.clone(),
        );
        workers.spawn(async move {
            let worker = WorkerId::new();
            let new = NewWorker {
                id: worker,
                name: "bench".to_owned(),
                models: vec![model],
                slots: 128,
                version: "0".to_owned(),
                limits: Default::default(),
                device: "none".to_owned(),
                can: Needs::default(),
            };
            store.worker_register(&new, Duration::from_secs(15)).await?;
            loop {
                let mut batch = Vec::new();
                announced
                    .lock()
                    .await
                    .recv_many(&mut batch, BATCH / 2)
                    .await;
                if batch.is_empty() {
                    store.worker_gone(worker).await?;
                    return Result::Ok(());
                }
                let claimed: Vec<_> = store
                    .edits_claim(worker, &batch, Duration::from_secs(15))
                    .await?
                    .into_iter()
                    .flatten()
                    .collect();
                let progress: Vec<_> = claimed
                    .iter()
                    .map(|claimed| Progressed {
                        edit: claimed.edit,
                        epoch: claimed.epoch,
                        stage: "apply".to_owned(),
                        step: 1,
                        steps: 20,
                        located: None,
                    })
                    .collect();
                let progressed = store.edits_progress(&progress).await?;
                let completions: Vec<_> = claimed
                    .into_iter()
                    .map(|claimed| Completion {
                        edit: claimed.edit,
                        epoch: claimed.epoch,
                        artifacts: Vec::new(),
                        report: None,
                        gpu_ms: 1,
                    })
                    .collect();
                let completed = store.edits_complete(&completions).await?;
                let applied = completed
                    .iter()
                    .zip(&progressed)
                    .filter(|(c, p)| c.is_applied() && p.is_applied())
                    .count();
                done.fetch_add(applied as u64, Ordering::Relaxed);
            }
        });
    }
    let releaser = {
        let (store, released) = (store.clone(), released.clone());
        tokio::spawn(async move {
            loop {
                let some = store.edits_release(None, 8, 256).await?;
                if some.is_empty() {
                    if released.load(Ordering::Relaxed) == edits as u64 {
                        return Result::Ok(());
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                released.fetch_add(some.len() as u64, Ordering::Relaxed);
                for announcement in some {
                    if announce.send(announcement.edit).await.is_err() {
                        return Ok(());
                    }
                }
            }
        })
    };
    let mut created = 0;
    while created < edits {
        let batch: Vec<_> = (created..edits.min(created + BATCH))
            .map(|n| {
                let (tenant, image) = starts[n % TENANTS];
                let spec = Spec {
                    seed: n as u64,
                    ..Spec::new("make the sofa red")
                };
                Submission {
                    class: if n % 5 == 0 {
                        Class::Bulk
                    } else {
                        Class::Interactive
                    },
                    ..Submission::new(tenant, image, model.clone(), spec)
                }
            })
            .collect();
        created += batch.len();
        for submitted in store.edits_submit(&batch).await? {
            if !matches!(submitted, Submitted::Created { .. }) {
                println!("not created: {submitted:?}");
            }
        }
    }
    let submitted_s = begun.elapsed().as_secs_f64();
    if let Ok(result) = releaser.await {
        result?;
    }
    while let Some(worker) = workers.join_next().await {
        if let Ok(result) = worker {
            result?;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let done = done.load(Ordering::Relaxed);
    println!(
        "{done} edits in {seconds:.1} s: {:.0} a second (submitted at {:.0} a second)",
        done as f64 / seconds,
        edits as f64 / submitted_s
    );
    Ok(())
}
