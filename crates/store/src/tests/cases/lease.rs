use limekiln_jobs::{EditId, Epoch, EventKind, StateName, WorkerId};

use crate::tests::context::*;
use crate::*;

pub(in crate::tests) async fn a_claim_carries_everything(store: &Store) {
    let context = TestContext::new(store).await;
    let mask = store
        .image_create(context.tenant, &picture(context.tenant, b"mask"))
        .await
        .unwrap();
    let trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let asked = Submission {
        mask: Some(mask.id),
        trace,
        ..context.submission()
    };
    let edit = context.submit(asked.clone()).await;
    let other = context.edit().await;
    let answers = store
        .edits_claim(context.worker, &[EditId::new(), edit, edit, other], TTL)
        .await
        .unwrap();
    assert!(answers[0].is_none() && answers[2].is_none() && answers[3].is_some());
    let claimed = answers[1].clone().unwrap();
    let mut spec = asked.spec;
    spec.mask = Some(mask.digest);
    let expected = Claimed {
        edit,
        tenant: context.tenant,
        session: None,
        epoch: Epoch::new(1),
        model: context.model.clone(),
        class: asked.class,
        spec,
        input: picture(context.tenant, b"picture").into(),
        patches: Vec::new(),
        mask: Some(picture(context.tenant, b"mask").into()),
        checkpoint: None,
        seq: 2,
        attempts: 0,
        max_attempts: 3,
        hangs: 0,
        located: false,
        trace: asked.trace,
    };
    assert_eq!(claimed, expected);
    // A message that came twice claims nothing.
    assert_eq!(
        store
            .edits_claim(WorkerId::new(), &[edit], TTL)
            .await
            .unwrap(),
        [None]
    );
    let events = store.events_after(edit, 1, 10).await.unwrap();
    assert_eq!(events[0].kind, EventKind::Started);
    assert_eq!(events[0].data["epoch"], 1);
    assert_eq!(events[0].data["worker"], context.worker.to_string());
    // A turn starts from its parent's result.
    assert!(
        context
            .complete(other, answers[3].as_ref().unwrap().epoch)
            .await
            .is_applied()
    );
    let turn = context.submit(context.turn(other)).await;
    assert_eq!(
        context.claim(turn).await.input.key,
        result(other, Epoch::new(1)).key
    );
}

pub(in crate::tests) async fn a_lost_claim_is_found_again(store: &Store) {
    let context = TestContext::new(store).await;
    let (edit, epoch) = context.running().await;
    let queued = context.edit().await;
    let found = store
        .edits_reclaim(context.worker, &[queued, edit], TTL)
        .await
        .unwrap();
    assert!(found[0].is_none());
    let found = found[1].as_ref().unwrap();
    assert_eq!((found.edit, found.epoch, found.seq), (edit, epoch, 2));
    assert_eq!(
        store
            .edits_reclaim(WorkerId::new(), &[edit], TTL)
            .await
            .unwrap(),
        [None]
    );
    assert_eq!(context.kinds(edit).await.len(), 2);
}

pub(in crate::tests) async fn writes_are_fenced(store: &Store) {
    let context = TestContext::new(store).await;
    let (edit, old) = context.running().await;
    let progressed = |epoch, step| Progressed {
        edit,
        epoch,
        stage: "locate".to_owned(),
        step,
        steps: 20,
        located: None,
    };
    // The same edit twice in one call is two events.
    let writes = store
        .edits_progress(&[progressed(old, 1), progressed(old, 2)])
        .await
        .unwrap();
    assert_eq!(
        writes,
        [Write::Applied { seq: 3 }, Write::Applied { seq: 4 }]
    );
    let nobody = EditId::new();
    let renewed = store
        .leases_renew(context.worker, &[(edit, old), (nobody, old)], TTL)
        .await
        .unwrap();
    assert_eq!(renewed, [Write::Applied { seq: 4 }, Write::Missing]);
    assert_eq!(
        store
            .leases_renew(WorkerId::new(), &[(edit, old)], TTL)
            .await
            .unwrap(),
        [Write::Stale]
    );
    assert_eq!(
        store.edits_hand_back(&[(edit, old, 0)]).await.unwrap(),
        [Write::Applied { seq: 5 }]
    );
    assert_eq!(context.state(edit).await, StateName::Queued);
    let new = context.claim(edit).await;
    assert_eq!((new.epoch, new.attempts), (Epoch::new(2), 0));
    // Whatever the old worker says now, nothing changes.
    let before = context.kinds(edit).await;
    assert_eq!(
        store
            .leases_renew(context.worker, &[(edit, old)], TTL)
            .await
            .unwrap(),
        [Write::Stale]
    );
    assert_eq!(
        store.edits_progress(&[progressed(old, 3)]).await.unwrap(),
        [Write::Stale]
    );
    let (write, key) = store
        .edits_checkpoint(&[checkpoint(edit, old, 9)])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (write, key),
        (Write::Stale, Some(checkpoint(edit, old, 9).checkpoint.key))
    );
    assert_eq!(context.complete(edit, old).await, Write::Stale);
    assert_eq!(
        context
            .fail(edit, old, limekiln_jobs::FailureClass::Internal)
            .await,
        Write::Stale
    );
    assert_eq!(
        store.edits_hand_back(&[(edit, old, 0)]).await.unwrap(),
        [Write::Stale]
    );
    assert_eq!(context.complete(nobody, old).await, Write::Missing);
    assert_eq!(context.kinds(edit).await, before);
    assert_eq!(context.state(edit).await, StateName::Running);
    let view = store.edit_get(context.tenant, edit).await.unwrap().unwrap();
    assert_eq!((view.stage, view.step), (None, None));
    assert!(view.artifacts.is_empty());
}

pub(in crate::tests) async fn a_checkpoint_that_is_of_no_use_is_forgotten(store: &Store) {
    let context = TestContext::new(store).await;
    let (edit, first) = context.running().await;
    let saved = checkpoint(edit, first, 9);
    let key = saved.checkpoint.key.clone();
    assert!(
        store.edits_checkpoint(&[saved]).await.unwrap()[0]
            .0
            .is_applied()
    );
    assert!(store.edits_hand_back(&[(edit, first, 0)]).await.unwrap()[0].is_applied());
    let epoch = context.claim(edit).await.epoch;
    let over = async |epoch, key: &str| {
        let lease = (edit, epoch, key.to_owned());
        store.edits_start_over(&[lease]).await.unwrap()[0]
    };
    assert_eq!(over(first, &key).await, Write::Stale);
    assert_eq!(over(epoch, &key).await, Write::Applied { seq: 4 });
    // Steps count from 0 again, and a repeated call forgets no newer one.
    let saved = checkpoint(edit, epoch, 3);
    assert!(
        store
            .edits_checkpoint(std::slice::from_ref(&saved))
            .await
            .unwrap()[0]
            .0
            .is_applied()
    );
    assert_eq!(over(epoch, &key).await, Write::Applied { seq: 4 });
    // That counts as progress: its worker's death is not charged.
    lease_expire(store, edit).await;
    store.edits_reap(1000).await.unwrap();
    let again = context.claim(edit).await;
    assert_eq!(
        (again.attempts, again.checkpoint),
        (0, Some(saved.checkpoint))
    );
}

pub(in crate::tests) async fn checkpoints_only_grow(store: &Store) {
    let context = TestContext::new(store).await;
    let (edit, epoch) = context.running().await;
    let write =
        async |offered: Checkpointed| store.edits_checkpoint(&[offered]).await.unwrap().remove(0);
    let applied = Write::Applied { seq: 2 };
    let key = |step| Some(checkpoint(edit, epoch, step).checkpoint.key);
    assert_eq!(write(checkpoint(edit, epoch, 5)).await, (applied, None));
    assert_eq!(write(checkpoint(edit, epoch, 8)).await, (applied, key(5)));
    // A repeated call does not give its own blob away; an older one is not kept, though the lease holds.
    assert_eq!(write(checkpoint(edit, epoch, 8)).await, (applied, None));
    assert_eq!(write(checkpoint(edit, epoch, 7)).await, (applied, key(7)));
    assert!(store.edits_hand_back(&[(edit, epoch, 0)]).await.unwrap()[0].is_applied());
    let again = context.claim(edit).await;
    assert_eq!(
        again.checkpoint,
        Some(checkpoint(edit, epoch, 8).checkpoint)
    );
    let referenced = [key(8).unwrap(), key(7).unwrap(), "t/x/other".to_owned()];
    assert_eq!(
        store.blobs_unreferenced(&referenced).await.unwrap(),
        referenced[1..]
    );
}
