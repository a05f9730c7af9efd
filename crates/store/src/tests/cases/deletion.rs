use limekiln_jobs::{EditId, Epoch, ImageId, SessionId, StateName};
use sqlx::Row;

use crate::tests::context::*;
use crate::*;

/// Whether the list has this key, and whether it was deleted once.
async fn listed(store: &Store, key: &str) -> Option<bool> {
    let statement = sqlx::query("select deleted_at is not null from blob_deletions where key = $1");
    let row = store.row("test", statement.bind(key)).await.unwrap();
    row.map(|row| row.get(0))
}

/// All deletions are due, or all are over.
async fn deletions(store: &Store, set: &'static str) {
    store.count("test", sqlx::query(set)).await.unwrap();
}

async fn claimed(store: &Store, key: &str) -> Option<bool> {
    deletions(
        store,
        "update blob_deletions set due_at = now() where due_at < 'infinity'",
    )
    .await;
    let claimed = store.blob_deletions_claim(1000).await.unwrap();
    let found = claimed.into_iter().find(|one| one.key == key);
    found.map(|one| one.again)
}

fn prefix(context: &TestContext, edit: EditId) -> String {
    format!("t/{}/edits/{edit}/", context.tenant)
}

pub(in crate::tests) async fn edits_go_with_all_that_is_left_of_them(store: &Store) {
    let context = TestContext::new(store).await;
    let stranger = context.with_other_tenant().await;
    let tenant = context.tenant;
    let edit = context
        .submit(Submission {
            webhook_url: Some("https://example.com/hook".to_owned()),
            ..context.submission()
        })
        .await;
    let delete = async |edit| store.edit_delete(tenant, edit, false).await.unwrap();

    assert_eq!(delete(edit).await, Deleted::Live);
    let epoch = context.claim(edit).await.epoch;
    assert_eq!(delete(edit).await, Deleted::Live);
    assert!(context.complete(edit, epoch).await.is_applied());
    let strange = store.edit_delete(stranger.tenant, edit, true).await;
    assert_eq!(strange.unwrap(), Deleted::Missing);
    assert_eq!(context.state(edit).await, StateName::Succeeded);

    assert_eq!(delete(edit).await, Deleted::Gone);
    for table in [
        "select count(*) from edits where id = $1",
        "select count(*) from edit_events where edit_id = $1",
        "select count(*) from artifacts where edit_id = $1",
        "select count(*) from webhooks where edit_id = $1",
    ] {
        let left = sqlx::query(table).bind(edit.uuid());
        let left: i64 = store.row("test", left).await.unwrap().unwrap().get(0);
        assert_eq!(left, 0, "{table}");
    }
    assert_eq!(delete(edit).await, Deleted::Missing);
    // What it used stays used.
    let used = sqlx::query("select sum(edits)::bigint from usage where tenant_id = $1");
    let used = store.row("test", used.bind(tenant.uuid())).await.unwrap();
    assert_eq!(used.unwrap().get::<i64, _>(0), 1);

    // Its blobs are no orphans, and are deleted twice: now, and when no worker can be at it any more.
    let key = prefix(&context, edit);
    assert_eq!(listed(store, &key).await, Some(false));
    let blob = format!("{key}1/result.png");
    assert!(store.blobs_unreferenced(&[blob]).await.unwrap().is_empty());
    assert_eq!(claimed(store, &key).await, Some(false));
    assert!(store.blob_deletions_claim(1000).await.unwrap().is_empty());
    store
        .blob_deletions_done(std::slice::from_ref(&key))
        .await
        .unwrap();
    assert_eq!(listed(store, &key).await, Some(true));
    assert_eq!(claimed(store, &key).await, Some(true));
    deletions(
        store,
        "update blob_deletions set until = now() where until < 'infinity'",
    )
    .await;
    store
        .blob_deletions_done(std::slice::from_ref(&key))
        .await
        .unwrap();
    assert_eq!(listed(store, &key).await, None);
}

pub(in crate::tests) async fn what_is_in_use_stays(store: &Store) {
    let context = TestContext::new(store).await;
    let (tenant, image) = (context.tenant, context.image);
    let first = context.done().await;
    let second = context.submit(context.turn(first)).await;
    let third = context.submit(context.turn(second)).await;
    let delete = async |edit, turns| store.edit_delete(tenant, edit, turns).await.unwrap();

    assert_eq!(delete(first, false).await, Deleted::InUse);
    assert_eq!(delete(first, true).await, Deleted::Live);
    let drop_image = async |edits| store.image_delete(tenant, image, edits).await.unwrap();
    assert_eq!(drop_image(false).await, Deleted::InUse);
    assert_eq!(drop_image(true).await, Deleted::Live);
    for edit in [second, third] {
        store.edit_cancel(tenant, edit).await.unwrap();
    }
    assert_eq!(delete(second, false).await, Deleted::InUse);
    assert_eq!(delete(second, true).await, Deleted::Gone);
    for edit in [second, third] {
        assert!(store.edit_get(tenant, edit).await.unwrap().is_none());
        assert_eq!(listed(store, &prefix(&context, edit)).await, Some(false));
    }
    assert_eq!(context.state(first).await, StateName::Succeeded);

    // The image as a mask, and as the start of one with a turn.
    let mask = store
        .image_create(tenant, &picture(tenant, b"mask"))
        .await
        .unwrap();
    let masked = context
        .submit(Submission {
            mask: Some(mask.id),
            ..context.submission()
        })
        .await;
    let turn = context.submit(context.turn(first)).await;
    for edit in [masked, turn] {
        store.edit_cancel(tenant, edit).await.unwrap();
    }
    let masks = async |edits| store.image_delete(tenant, mask.id, edits).await.unwrap();
    assert_eq!(masks(false).await, Deleted::InUse);
    assert_eq!(masks(true).await, Deleted::Gone);
    assert!(store.edit_get(tenant, masked).await.unwrap().is_none());
    assert_eq!(drop_image(true).await, Deleted::Gone);
    for edit in [first, turn] {
        assert!(store.edit_get(tenant, edit).await.unwrap().is_none());
    }
    assert_eq!(drop_image(true).await, Deleted::Missing);
    let nothing = store.image_delete(tenant, ImageId::new(), false).await;
    assert_eq!(nothing.unwrap(), Deleted::Missing);
    assert_eq!(context.in_flight().await, 0);
}

pub(in crate::tests) async fn a_picture_deleted_and_uploaded_again_lies_elsewhere(store: &Store) {
    let context = TestContext::new(store).await;
    let tenant = context.tenant;
    let picture = picture(tenant, b"again");
    let image = store.image_create(tenant, &picture).await.unwrap();
    let delete = async |id| store.image_delete(tenant, id, false).await.unwrap();
    assert_eq!(delete(image.id).await, Deleted::Gone);
    assert_eq!(listed(store, &picture.key).await, Some(false));
    let key = [picture.key.clone()];
    assert!(store.blobs_unreferenced(&key).await.unwrap().is_empty());

    let refused = store.image_create(tenant, &picture).await.unwrap_err();
    assert!(matches!(refused, Error::BlobGoing(key) if key == picture.key));
    let elsewhere = NewImage {
        key: format!("{}-2", picture.key),
        ..picture.clone()
    };
    let again = store.image_create(tenant, &elsewhere).await.unwrap();
    assert_ne!(again.id, image.id);
    assert_eq!(store.blobs_referenced(&[again.key]).await.unwrap().len(), 1);

    // Deleted from the bucket, the key is taken again only once the list has forgotten it.
    assert_eq!(claimed(store, &picture.key).await, Some(false));
    store.blob_deletions_done(&key).await.unwrap();
    assert!(store.image_create(tenant, &picture).await.is_err());
    deletions(
        store,
        "update blob_deletions set until = now() where until < 'infinity'",
    )
    .await;
    store.blob_deletions_done(&key).await.unwrap();
    assert_eq!(
        store.image_create(tenant, &picture).await.unwrap().id,
        again.id
    );
}

pub(in crate::tests) async fn a_tenant_goes_in_steps(store: &Store) {
    let context = TestContext::new(store).await;
    let other = context.with_other_tenant().await;
    let (tenant, name) = (
        context.tenant,
        context
            .store
            .tenant_get(context.tenant)
            .await
            .unwrap()
            .unwrap()
            .name,
    );
    let key = store
        .key_create(tenant, limekiln_jobs::api::Role::Tenant, "")
        .await
        .unwrap();
    store
        .session_create(tenant, SessionId::new())
        .await
        .unwrap();
    let done = context.done().await;
    let turn = context.submit(context.turn(done)).await;
    let (running, epoch) = context.running().await;
    let theirs = other.done().await;
    let counts = store.tenant_counts(tenant).await.unwrap();
    assert_eq!(
        (
            counts.keys,
            counts.images,
            counts.edits,
            counts.unfinished,
            counts.sessions
        ),
        (1, 1, 3, 2, 1)
    );

    assert!(store.tenant_erase(tenant).await.unwrap());
    assert!(
        store.tenant_erase(tenant).await.unwrap(),
        "again is no error"
    );
    assert!(store.key_find(key.secret.expose()).await.unwrap().is_none());
    let refused = store
        .key_create(tenant, limekiln_jobs::api::Role::Tenant, "")
        .await;
    assert!(matches!(refused, Err(Error::NoTenant)));
    let submitted = store.edits_submit(&[context.submission()]).await.unwrap();
    assert!(matches!(submitted[..], [Submitted::InFlight { limit: 0 }]));
    let unlimited = store.tenant_limits_set(tenant, &Limits::UNLIMITED).await;
    assert_eq!(unlimited.unwrap(), None);
    let upload = store.image_create(tenant, &picture(tenant, b"late")).await;
    assert!(matches!(upload, Err(Error::NoTenant)));
    assert!(store.tenants_erasing(100).await.unwrap().contains(&tenant));
    // Its blobs are no orphans from the first moment, and are not deleted before its rows are.
    let prefix = format!("t/{tenant}/");
    let stray = format!("t/{tenant}/edits/{running}/1/roi.png");
    assert!(store.blobs_unreferenced(&[stray]).await.unwrap().is_empty());
    assert_eq!(claimed(store, &prefix).await, None);

    let mut cancelled = store.tenant_edits_cancel(tenant, 1).await.unwrap();
    cancelled.extend(store.tenant_edits_cancel(tenant, 100).await.unwrap());
    cancelled.sort_unstable_by_key(|one| one.edit);
    let mut expected = [(turn, Epoch::new(0), false), (running, epoch, true)];
    expected.sort_unstable_by_key(|one| one.0);
    let cancelled: Vec<_> = cancelled
        .iter()
        .map(|one| (one.edit, one.epoch, one.was_running))
        .collect();
    assert_eq!(cancelled, expected);
    assert!(!context.complete(running, epoch).await.is_applied());
    let early = store.tenant_erase_finish(tenant).await;
    assert!(early.is_err(), "edits are left");
    let mut deleted = Vec::new();
    loop {
        let count = store.tenant_edits_delete(tenant, 1).await.unwrap();
        if count == 0 {
            break;
        }
        deleted.push(count);
    }
    assert_eq!(deleted, [1, 1, 1]);
    assert_eq!(store.tenant_images_delete(tenant, 10).await.unwrap(), 1);
    assert_eq!(store.tenant_sessions_delete(tenant, 10).await.unwrap(), 1);
    assert!(store.tenant_erase_finish(tenant).await.unwrap());
    assert!(!store.tenant_erase_finish(tenant).await.unwrap());

    assert!(store.tenant_by_name(&name).await.unwrap().is_none());
    assert_eq!(claimed(store, &prefix).await, Some(false));
    assert_eq!(other.state(theirs).await, StateName::Succeeded);
    let kept = sqlx::query("select sum(edits)::bigint from usage_erased");
    let kept = store.row("test", kept).await.unwrap().unwrap();
    assert!(kept.get::<i64, _>(0) >= 3);
    for table in tables_of_tenants(store).await {
        let left = format!("select count(*) from {table} where tenant_id = $1");
        let left = sqlx::query(sqlx::AssertSqlSafe(left)).bind(tenant.uuid());
        let left: i64 = store.row("test", left).await.unwrap().unwrap().get(0);
        assert_eq!(left, 0, "{table}");
    }
}

/// Every table that says whose a row is, those that are still to be invented among them.
async fn tables_of_tenants(store: &Store) -> Vec<String> {
    let tables = "select table_name::text from information_schema.columns
        where column_name = 'tenant_id' and table_schema = current_schema()";
    let rows = store.rows("test", sqlx::query(tables)).await.unwrap();
    assert!(rows.len() >= 7);
    rows.iter().map(|row| row.get(0)).collect()
}
