//! Catalogs, while coordinators die in the middle of whatever they do: no row is lost, none becomes two edits.

use std::collections::BTreeSet;

use limekiln_coordinator::Settings;
use limekiln_fixture::{PATIENCE, TestContext};
use limekiln_jobs::api::{CatalogRequest, CatalogView};
use limekiln_jobs::catalog::{CatalogState, RowState};
use limekiln_jobs::{BatchId, Digest, EditId};
use limekiln_store::{CatalogCreated, NewBase, NewCatalog, NewRow, RowsAdded};
use limekiln_testbed::until;
use serde_json::{Map, json};
use tokio::time::timeout;

use crate::running::{Coordinator, settings};

async fn catalog(context: &TestContext, rows: u64) -> BatchId {
    let new = NewCatalog {
        id: BatchId::new(),
        request: CatalogRequest::default(),
        made_by: String::new(),
        idempotency_key: None,
        digest: Digest::of(b"request"),
    };
    let made = context.store.catalog_create(context.tenant, new).await;
    let CatalogCreated::Created(view) = made.unwrap() else {
        panic!("not created")
    };
    let base_id = BatchId::new().uuid();
    let base = NewBase {
        id: base_id,
        model: "rooms".to_owned(),
        spec: json!({"preset": "fast"}),
        needs: Vec::new(),
        max_attempts: 3,
        webhook_url: None,
    };
    let row = |number: u64| NewRow {
        number,
        base: base_id,
        image: context.image,
        picture: None,
        mask: None,
        object: Default::default(),
        fields: Map::from_iter([("instruction".to_owned(), json!(format!("row {number}")))]),
        steps: Vec::new(),
        sent: Map::new(),
        values: Map::new(),
        digest: Digest::of(&number.to_le_bytes()),
    };
    let rows: Vec<NewRow> = (1..=rows).map(row).collect();
    let store = &context.store;
    let bases = [base];
    let added = store.catalog_rows_add(context.tenant, view.id, &bases, &rows);
    assert!(matches!(added.await.unwrap(), RowsAdded::Taken(_)));
    store.catalog_seal(context.tenant, view.id).await.unwrap();
    view.id
}

async fn view(context: &TestContext, catalog: BatchId) -> CatalogView {
    let view = context.store.catalog_get(context.tenant, catalog).await;
    view.unwrap().unwrap()
}

/// Ticks that come soon.
fn quick() -> Settings {
    Settings {
        min_window: 64,
        ..settings()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_coordinators_die() {
    let context = TestContext::new().await;
    context.worker_register(64).await;
    let rows = 400;
    let catalog = catalog(&context, rows).await;
    let mut consumer = context.consumer(64).await;
    let mut coordinators = [
        Coordinator::start(&context, quick()),
        Coordinator::start(&context, quick()),
    ];
    let mut edits = BTreeSet::<EditId>::new();
    let working = async {
        while edits.len() < rows as usize {
            let delivery = consumer.next().await.expect("an open broker");
            let edit = delivery.hint.edit;
            // A message may come twice; the claim says so.
            let claimed = context
                .store
                .edits_claim(context.worker, &[edit], PATIENCE)
                .await
                .unwrap();
            if let Some(claimed) = &claimed[0] {
                assert!(edits.insert(edit), "an edit ran twice");
                context.complete(claimed).await;
            }
            delivery.ack();
            // Killed again and again, wherever they are.
            if edits.len().is_multiple_of(23) {
                coordinators[edits.len() / 23 % 2] = Coordinator::start(&context, quick());
            }
        }
    };
    timeout(PATIENCE, working).await.expect("all rows in time");
    let ended = async || view(&context, catalog).await.state == CatalogState::Ended;
    until("the catalog to end", PATIENCE, ended).await;
    let view = view(&context, catalog).await;
    assert_eq!((view.passed, view.rows), (rows, rows));
    let page = context
        .store
        .catalog_rows(context.tenant, catalog, Some(RowState::Passed), 0, 1000)
        .await
        .unwrap()
        .unwrap();
    let of_rows: BTreeSet<EditId> = page.rows.iter().filter_map(|row| row.edit).collect();
    assert_eq!(of_rows, edits, "each row has an edit of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_catalog_ends_soon() {
    let context = TestContext::new().await;
    context.worker_register(4).await;
    let catalog = catalog(&context, 1000).await;
    let coordinator = Coordinator::start(&context, quick());
    let live = async || view(&context, catalog).await.live > 0;
    until("rows under way", PATIENCE, live).await;
    let store = &context.store;
    store.catalog_cancel(context.tenant, catalog).await.unwrap();
    let ended = async || view(&context, catalog).await.state == CatalogState::Cancelled;
    until("the catalog to end", PATIENCE, ended).await;
    let view = view(&context, catalog).await;
    assert_eq!((view.cancelled, view.live, view.waiting), (1000, 0, 0));
    coordinator.stop().await;
}
