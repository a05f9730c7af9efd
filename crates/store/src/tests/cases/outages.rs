use std::time::Duration;

use limekiln_jobs::{Needs, StateName, WorkerId};

use crate::tests::context::*;
use crate::*;

/// Moves the reapers' last round, and the end of the last outage, into the past.
async fn later(store: &Store, seconds: f64) {
    let passed = sqlx::query(
        "update fleet set reaped_at = reaped_at - make_interval(secs => $1),
            leases_held_since = leases_held_since - make_interval(secs => $1)",
    );
    store.count("test", passed.bind(seconds)).await.unwrap();
}

/// The clock is the database's: rounds are told from outages by what they leave there, whoever makes them.
pub(in crate::tests) async fn leases_are_left_alone_after_an_outage(store: &Store) {
    let context = TestContext::new(store).await;
    let (edit, _) = context.running().await;
    lease_expire(store, edit).await;
    let round = async || {
        let round = store.reaper_round(1000, TTL).await.unwrap();
        (
            round.holding,
            round.moved.iter().any(|moved| moved.edit == edit),
        )
    };
    // Nobody looked before: a coordinator that starts can't tell why.
    let cleared = sqlx::query("update fleet set reaped_at = null, leases_held_since = null");
    store.count("test", cleared).await.unwrap();
    assert_eq!(round().await, (true, false));
    // Rounds follow each other for the time of a lease; the lease was not renewed, and is taken.
    for _ in 0..3 {
        later(store, 4.7).await;
        assert_eq!(round().await, (true, false));
    }
    later(store, 1.0).await;
    assert_eq!(round().await, (false, true));
    assert_eq!(context.state(edit).await, StateName::Queued);
    // An outage, and another before the first is forgotten: each is waited out.
    context.claim(edit).await;
    lease_expire(store, edit).await;
    for _ in 0..2 {
        later(store, 8.0).await;
        assert_eq!(round().await, (true, false));
        later(store, 7.0).await;
        assert_eq!(round().await, (true, false));
    }
    // Workers whose leases are shorter tell outages earlier, and need less time after them.
    let quick = WorkerId::new();
    let registered = NewWorker {
        id: quick,
        name: "quick".to_owned(),
        models: vec![context.model.clone()],
        slots: 1,
        version: "0".to_owned(),
        device: "cpu".to_owned(),
        can: Needs::default(),
        limits: Default::default(),
    };
    store
        .worker_register(&registered, Duration::from_secs(2))
        .await
        .unwrap();
    let other = context.edit().await;
    store.edits_claim(quick, &[other], TTL).await.unwrap();
    lease_expire(store, other).await;
    let taken = async || {
        let round = store.reaper_round(1000, TTL).await.unwrap();
        assert_eq!(round.lease, Duration::from_secs(2));
        round
            .moved
            .iter()
            .map(|moved| moved.edit)
            .filter(|moved| [edit, other].contains(moved))
            .collect::<Vec<_>>()
    };
    later(store, 1.2).await;
    assert_eq!(taken().await, []);
    later(store, 0.75).await;
    assert_eq!(taken().await, []);
    later(store, 0.75).await;
    assert_eq!(taken().await, []);
    later(store, 0.75).await;
    assert_eq!(taken().await, [other]);
    store.worker_gone(quick).await.unwrap();
}
