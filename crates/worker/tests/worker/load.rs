//! Many slots in one process.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use limekiln_fixture::TestContext;
use limekiln_jobs::EditId;
use limekiln_worker::Signal;

use crate::gate::null;
use crate::running::{Running, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_and_twenty_eight_slots() {
    const EDITS: usize = 3000;
    let context = TestContext::new().await;
    let mut many = settings(&context);
    many.slots = 128;
    many.blobs = false;
    many.lease_ttl = Duration::from_secs(30);
    let mut worker = Running::start(&context, many, null(4, Duration::ZERO)).await;
    let dispatcher = context.dispatcher();
    let began = Instant::now();
    let edits = context
        .enqueue(
            &(0..EDITS)
                .map(|_| context.instruction("anything"))
                .collect::<Vec<_>>(),
        )
        .await;
    let mut ended: HashMap<EditId, u32> = HashMap::new();
    worker
        .wait("all", |signal| {
            assert!(!matches!(signal, Signal::Stale(..) | Signal::Failed(..)));
            if let Signal::Completed(edit, _) = signal {
                *ended.entry(*edit).or_default() += 1;
            }
            ended.len() == EDITS
        })
        .await;
    let took = began.elapsed().as_secs_f64();
    assert!(edits.iter().all(|edit| ended.get(edit) == Some(&1)));
    println!(
        "{:.0} edits a second, submitted and run",
        EDITS as f64 / took
    );
    drop(dispatcher);
    worker.stop().await.0.unwrap();
}
