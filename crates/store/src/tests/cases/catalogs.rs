use std::collections::BTreeSet;
use std::time::Duration;

use limekiln_jobs::api::{CatalogRequest, CatalogView, Decision, DecisionKind};
use limekiln_jobs::catalog::{CatalogState, Reason, RowState};
use limekiln_jobs::{BatchId, Digest, EditId, ImageId};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::tests::context::*;
use crate::*;

const BASE: Uuid = Uuid::from_u128(7);

fn base() -> NewBase {
    let mut spec = serde_json::to_value(spec()).unwrap();
    spec.as_object_mut().unwrap().remove("instruction");
    NewBase {
        id: BASE,
        model: "rooms".to_owned(),
        spec,
        needs: vec!["color".to_owned()],
        max_attempts: 3,
        webhook_url: None,
    }
}

fn row(number: u64, image: ImageId) -> NewRow {
    let fields = json!({"instruction": format!("make the sofa {number}"), "color": "teal"});
    let Value::Object(fields) = fields else {
        unreachable!()
    };
    NewRow {
        number,
        base: BASE,
        image,
        picture: None,
        mask: None,
        object: Uuid::nil(),
        fields,
        steps: Vec::new(),
        sent: Map::new(),
        values: Map::new(),
        digest: Digest::of(&number.to_le_bytes()),
    }
}

impl TestContext {
    async fn catalog(&self, key: Option<&str>) -> CatalogCreated {
        self.catalog_asked(key, CatalogRequest::default()).await
    }

    async fn catalog_asked(&self, key: Option<&str>, request: CatalogRequest) -> CatalogCreated {
        let catalog = NewCatalog {
            id: BatchId::new(),
            request,
            made_by: "test".to_owned(),
            idempotency_key: key.map(str::to_owned),
            digest: Digest::of(b"request"),
        };
        self.store
            .catalog_create(self.tenant, catalog)
            .await
            .unwrap()
    }

    async fn catalog_with(&self, rows: u64) -> BatchId {
        let CatalogCreated::Created(view) = self.catalog(None).await else {
            panic!("not created")
        };
        let rows: Vec<NewRow> = (1..=rows).map(|number| row(number, self.image)).collect();
        self.add(view.id, &rows).await;
        view.id
    }

    async fn add(&self, catalog: BatchId, rows: &[NewRow]) -> RowsAdded {
        let bases = [base()];
        let store = &self.store;
        store
            .catalog_rows_add(self.tenant, catalog, &bases, rows)
            .await
            .unwrap()
    }

    async fn work(&self, catalog: BatchId, room: u32) -> CatalogWork {
        let store = &self.store;
        store
            .catalog_work(self.tenant, catalog, room)
            .await
            .unwrap()
    }

    async fn view(&self, catalog: BatchId) -> CatalogView {
        let view = self.store.catalog_get(self.tenant, catalog).await.unwrap();
        let view = view.unwrap();
        let states = [
            view.waiting,
            view.live,
            view.passed,
            view.review,
            view.rejected,
            view.failed,
            view.cancelled,
        ];
        assert_eq!(
            states.iter().sum::<u64>(),
            view.rows,
            "every row is counted once"
        );
        view
    }

    async fn rows(&self, catalog: BatchId, state: RowState) -> Vec<(u64, Option<EditId>)> {
        let page = self
            .store
            .catalog_rows(self.tenant, catalog, Some(state), 0, 1000)
            .await
            .unwrap()
            .unwrap();
        page.rows.iter().map(|row| (row.row, row.edit)).collect()
    }

    /// Claims the edit and completes it with this report.
    async fn reported(&self, edit: EditId, report: Value) {
        let claimed = self.claim(edit).await;
        let completion = Completion {
            edit,
            epoch: claimed.epoch,
            artifacts: vec![result(edit, claimed.epoch)],
            report: Some(report),
            gpu_ms: 1,
        };
        let written = self.store.edits_complete(&[completion]).await.unwrap();
        assert!(written[0].is_applied());
    }
}

pub(in crate::tests) async fn rows_come_once_and_become_edits_once(store: &Store) {
    let context = TestContext::new(store).await;
    let CatalogCreated::Created(made) = context.catalog(Some("key")).await else {
        panic!("not created")
    };
    let again = context.catalog(Some("key")).await;
    assert!(matches!(again, CatalogCreated::Replayed(view) if view.id == made.id));
    let catalog = made.id;
    let rows: Vec<NewRow> = (1..=5).map(|number| row(number, context.image)).collect();
    let taken = |added, repeated, rows| {
        RowsAdded::Taken(limekiln_jobs::api::RowsTaken {
            added,
            repeated,
            rows,
        })
    };
    assert_eq!(context.add(catalog, &rows[..3]).await, taken(3, 0, 3));
    // The answer was lost, and the client sends more than before.
    assert_eq!(context.add(catalog, &rows).await, taken(2, 3, 5));
    assert_eq!(context.add(catalog, &rows[2..4]).await, taken(0, 2, 5));
    let other = NewRow {
        digest: Digest::of(b"other"),
        ..rows[1].clone()
    };
    let reused = context.add(catalog, &[other, row(6, context.image)]).await;
    assert_eq!(reused, RowsAdded::Reused(vec![2]));
    assert_eq!(context.view(catalog).await.rows, 5, "all or none");

    // Two coordinators at once start no row twice.
    let (one, two) = tokio::join!(context.work(catalog, 2), context.work(catalog, 2));
    let started = one.started + two.started;
    assert!((2..=4).contains(&started), "{one:?} {two:?}");
    while context.work(catalog, 2).await.started > 0 {}
    let live = context.rows(catalog, RowState::Live).await;
    assert_eq!(live.len(), 5);
    let edits: BTreeSet<EditId> = live.iter().filter_map(|row| row.1).collect();
    assert_eq!(edits.len(), 5);
    assert_eq!(context.in_flight().await, 5);
    let first = live[0].1.unwrap();
    let claimed = context.claim(first).await;
    assert_eq!(claimed.spec.instruction, "make the sofa 1");
    assert_eq!(claimed.spec.color.as_deref(), Some("teal"));
    assert_eq!(claimed.spec.seed, spec().seed);

    // It is open: it does not end before it is sealed.
    for (_, edit) in &live[1..] {
        context.reported(edit.unwrap(), json!({})).await;
    }
    assert!(context.complete(first, claimed.epoch).await.is_applied());
    assert!(!context.work(catalog, 2).await.ended);
    assert_eq!(context.view(catalog).await.passed, 5);
    store.catalog_seal(context.tenant, catalog).await.unwrap();
    assert!(context.work(catalog, 2).await.ended);
    let view = context.view(catalog).await;
    assert_eq!((view.state, view.passed), (CatalogState::Ended, 5));
    assert_eq!(
        context.add(catalog, &[row(6, context.image)]).await,
        RowsAdded::Sealed
    );
    assert_eq!(context.add(catalog, &rows).await, taken(0, 5, 5));
}

pub(in crate::tests) async fn a_catalog_is_paused_cancelled_and_tried_again(store: &Store) {
    let context = TestContext::new(store).await;
    let catalog = context.catalog_with(6).await;
    let (tenant, none) = (context.tenant, CatalogWork::default());
    store.catalog_pause(tenant, catalog, true).await.unwrap();
    assert_eq!(context.work(catalog, 4).await, none);
    store.catalog_pause(tenant, catalog, false).await.unwrap();
    assert_eq!(context.work(catalog, 3).await.started, 3);
    let live = context.rows(catalog, RowState::Live).await;
    let failed = live[0].1.unwrap();
    let claimed = context.claim(failed).await;
    let ended = context
        .fail(failed, claimed.epoch, limekiln_jobs::FailureClass::User)
        .await;
    assert!(matches!(ended, Write::Applied { .. }), "{ended:?}");
    let settled = context.work(catalog, 0).await;
    assert_eq!((settled.settled, settled.ended), (1, false));
    let rows = store
        .catalog_rows(tenant, catalog, Some(RowState::Failed), 0, 10)
        .await
        .unwrap()
        .unwrap();
    assert!(rows.rows[0].error.is_some());
    let retried = store
        .catalog_retry_failed(tenant, catalog, 10)
        .await
        .unwrap();
    assert_eq!(retried, Some(1));
    assert_eq!(context.view(catalog).await.waiting, 4);
    // Cancelled: what waits at once, what is under way once its edit is.
    let view = store
        .catalog_cancel(tenant, catalog)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((view.state, view.cancelled), (CatalogState::Cancelling, 4));
    let edits = store.catalog_live(catalog, 10).await.unwrap();
    assert_eq!(edits.len(), 2);
    for edit in edits {
        store.edit_cancel(tenant, edit).await.unwrap();
    }
    assert!(context.work(catalog, 4).await.ended);
    let view = context.view(catalog).await;
    assert_eq!((view.state, view.cancelled), (CatalogState::Cancelled, 6));
    assert_eq!(context.rows(catalog, RowState::Cancelled).await.len(), 6);
    assert_eq!(context.rows(catalog, RowState::Waiting).await, []);
    let retried = store
        .catalog_retry_failed(tenant, catalog, 10)
        .await
        .unwrap();
    assert_eq!(retried, None);
    assert_eq!(context.in_flight().await, 0);
}

pub(in crate::tests) async fn rows_are_held_for_their_reasons_and_decided_on(store: &Store) {
    let context = TestContext::new(store).await;
    let catalog = context.catalog_with(4).await;
    store.catalog_seal(context.tenant, catalog).await.unwrap();
    assert_eq!(context.work(catalog, 9).await.started, 4);
    let live = context.rows(catalog, RowState::Live).await;
    for (share, (_, edit)) in [0.2, 0.2, 0.9, 0.001].into_iter().zip(&live) {
        let report = json!({"roi_share": share, "recolor": {"sure": 0.9, "delta_e_median": 0.5}});
        context.reported(edit.unwrap(), report).await;
    }
    assert!(context.work(catalog, 9).await.ended);
    let page = store
        .catalog_rows(context.tenant, catalog, Some(RowState::Review), 0, 10)
        .await
        .unwrap()
        .unwrap();
    let reasons: Vec<_> = page.rows.iter().map(|row| &row.reasons[..]).collect();
    let expected = [
        &[Reason::RegionLarge, Reason::Unlike][..],
        &[Reason::RegionSmall, Reason::Unlike],
    ];
    assert_eq!(reasons, expected);
    let decide = async |verdict, rows: &[u64], again| {
        let decision = Decision {
            verdict,
            by: "Ada".to_owned(),
            at: OffsetDateTime::UNIX_EPOCH,
        };
        let decided = store
            .catalog_decide(context.tenant, catalog, &decision, rows, &again)
            .await;
        decided.unwrap().unwrap()
    };
    let none = || (Vec::new(), Vec::new());
    assert_eq!(decide(DecisionKind::Accept, &[1, 3], none()).await, 1);
    assert_eq!(decide(DecisionKind::Accept, &[3], none()).await, 0);
    assert_eq!(decide(DecisionKind::Reject, &[4], none()).await, 1);
    let view = context.view(catalog).await;
    assert_eq!((view.passed, view.review, view.rejected), (3, 0, 1));
    // One wrong region, one correction: it waits again, with the seed that it was given.
    let mut again = row(4, context.image);
    again.fields.insert("seed".to_owned(), 99.into());
    let redo = (vec![base()], vec![again]);
    assert_eq!(decide(DecisionKind::Redo, &[4], redo).await, 1);
    let view = context.view(catalog).await;
    assert_eq!((view.state, view.waiting), (CatalogState::Sealed, 1));
    assert_eq!(context.work(catalog, 9).await.started, 1);
    let (_, edit) = context.rows(catalog, RowState::Live).await[0];
    let claimed = context.claim(edit.unwrap()).await;
    assert_eq!(claimed.spec.seed, 99);
    let asked = store
        .catalog_rows_asked(catalog, &[1], true, 10)
        .await
        .unwrap();
    assert_eq!(asked.len(), 1, "nothing else is in review");
}

pub(in crate::tests) async fn pictures_that_rows_wait_with_do_not_expire(store: &Store) {
    let context = TestContext::new(store).await;
    let mut images = Vec::new();
    for content in [&b"waits"[..], b"masks", b"unused"] {
        let picture = picture(context.tenant, content);
        images.push(
            store
                .image_create(context.tenant, &picture)
                .await
                .unwrap()
                .id,
        );
    }
    let aged =
        sqlx::query("update images set used_at = now() - interval '2 days' where id = any ($1)")
            .bind(images.iter().map(|id| id.uuid()).collect::<Vec<Uuid>>());
    store.count("test", aged).await.unwrap();
    let waits = NewRow {
        mask: Some(images[1]),
        ..row(1, images[0])
    };
    let catalog = context.catalog_with(0).await;
    context.add(catalog, &[waits]).await;
    let day = Duration::from_secs(24 * 3600);
    let expire = async || {
        let mut after = None;
        loop {
            after = store.images_expire(day, after, 100).await.unwrap().next;
            if after.is_none() {
                return;
            }
        }
    };
    let there = async || {
        let missing = store.images_missing(context.tenant, &images).await.unwrap();
        images
            .iter()
            .map(|id| !missing.contains(id))
            .collect::<Vec<bool>>()
    };
    expire().await;
    assert_eq!(there().await, [true, true, false]);
    store.catalog_cancel(context.tenant, catalog).await.unwrap();
    expire().await;
    assert_eq!(there().await, [false; 3]);
}

pub(in crate::tests) async fn a_row_whose_picture_is_gone_fails_alone(store: &Store) {
    let context = TestContext::new(store).await;
    let catalog = context.catalog_with(1).await;
    context.add(catalog, &[row(2, ImageId::new())]).await;
    let work = context.work(catalog, 9).await;
    assert_eq!((work.started, work.settled), (1, 1));
    let view = context.view(catalog).await;
    assert_eq!((view.live, view.failed), (1, 1));
    // An edit that somebody deletes fails its row, too.
    let (_, edit) = context.rows(catalog, RowState::Live).await[0];
    store
        .edit_cancel(context.tenant, edit.unwrap())
        .await
        .unwrap();
    store
        .edit_delete(context.tenant, edit.unwrap(), false)
        .await
        .unwrap();
    context.work(catalog, 9).await;
    assert_eq!(context.view(catalog).await.failed, 2);
}

pub(in crate::tests) async fn rows_about_one_object_wait_for_the_first(store: &Store) {
    let context = TestContext::new(store).await;
    let CatalogCreated::Created(view) = context.catalog(None).await else {
        panic!("not created")
    };
    let catalog = view.id;
    let of = |number: u64, object: u128| NewRow {
        object: Uuid::from_u128(object),
        ..row(number, context.image)
    };
    // Three rows about a sofa, two about a lamp, two that wait for nobody.
    let rows = [
        of(1, 1),
        of(2, 2),
        of(3, 1),
        of(4, 2),
        of(5, 1),
        of(6, 0),
        of(7, 0),
    ];
    context.add(catalog, &rows).await;
    let live = async || {
        let live = context.rows(catalog, RowState::Live).await;
        live.iter().map(|row| row.0).collect::<Vec<_>>()
    };
    let edit_of = async |number: u64| {
        let live = context.rows(catalog, RowState::Live).await;
        let of = live.iter().find(|row| row.0 == number);
        of.unwrap().1.unwrap()
    };
    assert_eq!(context.work(catalog, 9).await.started, 4);
    assert_eq!(live().await, [1, 2, 6, 7]);
    assert_eq!(context.work(catalog, 9).await.started, 0);
    // The first has ended: the others of its object go, those of the other object do not.
    context.reported(edit_of(1).await, json!({})).await;
    assert_eq!(context.work(catalog, 1).await.started, 1);
    assert_eq!(context.work(catalog, 9).await.started, 1);
    assert_eq!(live().await, [2, 3, 5, 6, 7]);
    // One that failed holds up nobody either.
    let failed = edit_of(2).await;
    let claimed = context.claim(failed).await;
    let class = limekiln_jobs::FailureClass::User;
    assert!(
        context
            .fail(failed, claimed.epoch, class)
            .await
            .is_applied()
    );
    assert_eq!(context.work(catalog, 9).await.started, 1);
    assert_eq!(live().await, [3, 4, 5, 6, 7]);
    // Nor does one that nobody runs for long.
    context.add(catalog, &[of(8, 3), of(9, 3)]).await;
    assert_eq!(context.work(catalog, 9).await.started, 1);
    let late = "update edits set created_at = now() - interval '11 minutes' where id = $1";
    age(store, edit_of(8).await, late).await;
    assert_eq!(context.work(catalog, 9).await.started, 1);
    assert_eq!(live().await, [3, 4, 5, 6, 7, 8, 9]);
}

pub(in crate::tests) async fn an_ended_catalog_is_told_of_once_and_goes_when_it_is_old(
    store: &Store,
) {
    let context = TestContext::new(store).await;
    let request = CatalogRequest {
        webhook: Some("https://example.com/catalogs".parse().unwrap()),
        ..CatalogRequest::default()
    };
    let CatalogCreated::Created(view) = context.catalog_asked(None, request).await else {
        panic!("not created")
    };
    let catalog = view.id;
    context.add(catalog, &[row(1, context.image)]).await;
    store.catalog_seal(context.tenant, catalog).await.unwrap();
    context.work(catalog, 9).await;
    let (_, edit) = context.rows(catalog, RowState::Live).await[0];
    let edit = edit.unwrap();
    let due = async || {
        let mut due = store.webhooks_due(None, 1000, 1000).await.unwrap();
        due.retain(|(endpoint, due)| endpoint.tenant == context.tenant && *due > 0);
        due
    };
    assert_eq!(due().await, []);
    context.reported(edit, json!({})).await;
    assert!(context.work(catalog, 9).await.ended);
    let hour = Duration::from_secs(3600);
    let told = store.webhooks_claim(&due().await, hour).await.unwrap();
    let [told] = &told[..] else {
        panic!("{told:?}")
    };
    let Told::Catalog(view) = &told.told else {
        panic!("{told:?}")
    };
    assert_eq!(
        (view.id, view.passed, &*told.event),
        (catalog, 1, "catalog.ended")
    );
    assert!(store.webhook_done(told).await.unwrap().is_applied());
    assert_eq!(due().await, []);

    // It stays until it is old enough, and so do its edits; a decision makes it young again.
    let day = 24 * hour;
    let there = async || {
        store
            .catalog_get(context.tenant, catalog)
            .await
            .unwrap()
            .is_some()
    };
    let kept = async || {
        store
            .edit_get(context.tenant, edit)
            .await
            .unwrap()
            .is_some()
    };
    let prune = async || {
        while store.catalogs_prune(day, 1).await.unwrap() > 0 {}
        let mut after = None;
        loop {
            let pruned = store
                .edits_prune(day, Some(day), after, 1000)
                .await
                .unwrap();
            after = pruned.next;
            if after.is_none() {
                break;
            }
        }
    };
    let old = "update edits set finished_at = finished_at - interval '2 days' where id = $1";
    age(store, edit, old).await;
    prune().await;
    assert!(there().await && kept().await);
    let ended = "update catalogs set ended_at = ended_at - interval '2 days' where id = (select batch_id from edits where id = $1)";
    age(store, edit, ended).await;
    let decision = Decision {
        verdict: DecisionKind::Reject,
        by: String::new(),
        at: OffsetDateTime::UNIX_EPOCH,
    };
    let none = (Vec::new(), Vec::new());
    let decided = store.catalog_decide(context.tenant, catalog, &decision, &[1], &none);
    assert_eq!(decided.await.unwrap(), Some(1));
    prune().await;
    assert!(there().await && kept().await);
    let decided = "update catalogs set decided_at = decided_at - interval '2 days' where id = (select batch_id from edits where id = $1)";
    age(store, edit, decided).await;
    prune().await;
    assert!(!there().await && !kept().await);
}
