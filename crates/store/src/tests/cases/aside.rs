use std::time::Duration;

use limekiln_jobs::{EditId, Epoch, Needs, WorkerId};

use crate::tests::context::*;
use crate::*;

const PATIENCE: Duration = Duration::from_secs(5);
/// How often an edit steps aside.
const MOST: u16 = 2;

impl TestContext {
    /// Whom one look asks, of this model's edits.
    async fn look(&self, all: &[EditId]) -> Vec<(EditId, Epoch)> {
        let asides = self.store.edits_step_aside(PATIENCE, MOST).await.unwrap();
        let of_model = asides.asked.into_iter();
        of_model.filter(|(edit, _)| all.contains(edit)).collect()
    }

    async fn claim_by(&self, worker: WorkerId, edit: EditId) -> Epoch {
        let claimed = self.store.edits_claim(worker, &[edit], TTL).await.unwrap();
        claimed[0].as_ref().expect("a claimable edit").epoch
    }

    /// An interactive edit that was announced a minute ago.
    async fn waiting(&self) -> EditId {
        let edit = self.edit().await;
        assert!(self.release(8, 8).await.contains(&edit));
        let sql = "update edits set announced_at = now() - interval '1 min' where id = $1";
        age(&self.store, edit, sql).await;
        edit
    }
}

pub(in crate::tests) async fn bulk_steps_aside_for_edits_that_wait_for_a_slot(store: &Store) {
    let context = TestContext::new(store).await;
    let workers = [context.worker(1).await, context.worker(1).await];
    let bulk = [context.bulk().await, context.bulk().await];
    let first = context.claim_by(workers[0], bulk[0]).await;
    let edit = context.waiting().await;
    assert_eq!(context.look(&bulk).await, [], "a slot is free");
    context.claim_by(workers[1], bulk[1]).await;
    // Several coordinators look at once: one edit waits, and one steps aside, whoever asks. The newest goes first.
    let (one, two) = tokio::join!(context.look(&bulk), context.look(&bulk));
    let asked = [one, two].concat();
    assert_eq!(asked, [(bulk[1], Epoch::new(1))]);
    let asides = store.edits_step_aside(PATIENCE, MOST).await.unwrap();
    assert!(asides.waiting && asides.pending.contains(&asked[0]));
    // The message is lost and said again, or heard twice: nobody else is asked.
    assert_eq!(context.look(&bulk).await, []);
    let [(edit_aside, epoch)] = asked[..] else {
        unreachable!()
    };
    store
        .edits_hand_back(&[(edit_aside, epoch, 0)])
        .await
        .unwrap();
    assert_eq!(context.look(&bulk).await, [], "a slot is free");
    context.claim_by(workers[1], edit).await;
    let another = context.waiting().await;
    assert_eq!(
        context.look(&bulk).await,
        [(bulk[0], first)],
        "no interactive one"
    );
    // Who does not hear of it is given up after a while, and another one is asked.
    let sql = "update edits set aside_at = now() - interval '1 min' where id = $1";
    age(store, bulk[0], sql).await;
    assert_eq!(context.look(&bulk).await, []);
    store.edit_cancel(context.tenant, another).await.unwrap();
}

pub(in crate::tests) async fn an_edit_steps_aside_a_few_times_in_its_life(store: &Store) {
    let context = TestContext::new(store).await;
    let worker = context.worker(1).await;
    let bulk = context.bulk().await;
    let edit = context.waiting().await;
    for n in 0..MOST {
        let epoch = context.claim_by(worker, bulk).await;
        assert_eq!(context.look(&[bulk]).await, [(bulk, epoch)], "time {n}");
        assert_eq!(context.look(&[bulk]).await, []);
        store.edits_hand_back(&[(bulk, epoch, 0)]).await.unwrap();
    }
    context.claim_by(worker, bulk).await;
    assert_eq!(context.look(&[bulk]).await, []);
    store.edit_cancel(context.tenant, edit).await.unwrap();
}

pub(in crate::tests) async fn who_could_not_take_the_slot_or_give_it_is_not_asked_for(
    store: &Store,
) {
    let context = TestContext::new(store).await;
    let (worker, bulk) = (context.worker(2).await, context.bulk().await);
    let other = context.bulk().await;
    context.claim_by(worker, bulk).await;
    context.claim_by(worker, other).await;
    let all = [bulk, other];
    let edit = context.waiting().await;
    // It needs what the worker can't do.
    let sql = "update edits set needs = '{upscale}' where id = $1";
    age(store, edit, sql).await;
    assert_eq!(context.look(&all).await, []);
    let able = context.able_worker(1, Needs::from_iter(["upscale"])).await;
    assert_eq!(context.look(&all).await, [], "a slot is free");
    let third = context.bulk().await;
    context.claim_by(able, third).await;
    let all = [bulk, other, third];
    // A worker of before does not know how, and one that drains takes nothing more.
    let worker_set = async |what: &str| {
        let sql = format!("update workers set {what} where id = $1");
        let set = sqlx::query(sqlx::AssertSqlSafe(sql));
        store.count("test", set.bind(able.uuid())).await.unwrap();
    };
    worker_set("steps_aside = false").await;
    assert_eq!(context.look(&all).await, []);
    worker_set("steps_aside = true, draining = true").await;
    assert_eq!(context.look(&all).await, []);
    worker_set("draining = false").await;
    assert_eq!(context.look(&all).await, [(third, Epoch::new(1))]);
    store.edit_cancel(context.tenant, edit).await.unwrap();
}
