//! Postgres stands still for longer than a lease lasts.

use std::time::Duration;

use limekiln_coordinator::Settings;
use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_jobs::{EditId, Epoch, Needs, StateName};
use limekiln_store::NewWorker;
use limekiln_testbed::{Postgres, Proxy, until};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::running::{Coordinator, settings};

const LEASE: Duration = Duration::from_millis(1200);

/// What a worker's heartbeat does: renews three times in a lease, and waits for no answer for long.
fn heartbeat(context: &TestContext, edit: EditId, epoch: Epoch) -> JoinHandle<()> {
    let (store, worker) = (context.store.clone(), context.worker);
    tokio::spawn(async move {
        let mut beats = interval(LEASE / 3);
        loop {
            beats.tick().await;
            let leases = [(edit, epoch)];
            // What fails is the stall.
            let _ = timeout(LEASE / 3, store.leases_renew(worker, &leases, LEASE)).await;
            let _ = timeout(LEASE / 3, store.worker_beat(worker, 1, None)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_stalls_longer_than_a_lease_cost_a_healthy_edit_nothing() {
    let context = TestContext::new().await;
    let proxy = Proxy::start(Postgres::shared().port());
    let stalled = context.behind(&proxy).await;
    let worker = NewWorker {
        id: context.worker,
        name: "healthy".to_owned(),
        models: vec![TestContext::model()],
        slots: 1,
        version: "0".to_owned(),
        device: "cpu".to_owned(),
        can: Needs::default(),
        limits: Default::default(),
    };
    context.store.worker_register(&worker, LEASE).await.unwrap();
    let edit = context.edit().await;
    let claimed = context
        .store
        .edits_claim(context.worker, &[edit], LEASE)
        .await
        .unwrap();
    let claimed = claimed.into_iter().next().flatten().unwrap();
    assert_eq!(claimed.max_attempts, 3, "the default");
    let beating = heartbeat(&stalled, edit, claimed.epoch);
    // Two of them, whose own default is another lease, as in production.
    let reapers = [(); 2].map(|()| {
        let settings = Settings {
            lease_ttl: Duration::from_secs(15),
            ..settings()
        };
        Coordinator::start(&stalled, settings)
    });
    let lapsed = async |than: &str| {
        let lapsed = format!(
            "select count(*) from edits where id = '{edit}' and lease_expires_at {than} now()"
        );
        context.number(&lapsed).await == 1
    };
    let rounds = "select count(*) from fleet where reaped_at > now() - interval '400 ms' and leases_held_since < reaped_at";
    for stall in 1..=4 {
        until("reapers at work", PATIENCE, async || {
            context.number(rounds).await == 1
        })
        .await;
        proxy.blackhole();
        until("the lease to run out", PATIENCE, async || lapsed("<").await).await;
        proxy.resume();
        until("the lease's renewal", PATIENCE, async || {
            let view = context.view(edit).await;
            assert_eq!(
                (view.state, view.attempts),
                (StateName::Running, 0),
                "stall {stall}"
            );
            lapsed(">").await
        })
        .await;
    }
    assert_eq!(
        context.view(edit).await.seq,
        claimed.seq,
        "it was never taken"
    );
    // A worker that is dead is told from a stall.
    beating.abort();
    let view = context.reaches(edit, StateName::Queued).await;
    assert_eq!(view.attempts, 1);
    for reaper in reapers {
        reaper.stop().await;
    }
}
