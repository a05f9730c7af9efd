use std::time::Duration;

use limekiln_jobs::api::Role;
use limekiln_jobs::{ErrorKind, Retryable, SessionId, TenantId, WorkerId};

use crate::tests::context::*;
use crate::*;

pub(in crate::tests) async fn tenants_have_limits_and_keys(store: &Store) {
    let name = TenantId::new().to_string();
    let tenant = store
        .tenant_create(&name, &Limits::default())
        .await
        .unwrap();
    assert!(matches!(
        store.tenant_create(&name, &Limits::default()).await,
        Err(Error::NameTaken(_))
    ));
    assert!(matches!(
        store.tenant_create("", &Limits::default()).await,
        Err(Error::Invalid { field: "name", .. })
    ));
    assert!(matches!(
        store.tenant_create("a\0b", &Limits::default()).await,
        Err(Error::Invalid { .. })
    ));
    let none = Limits {
        rate_per_second: f64::NAN,
        ..Limits::default()
    };
    assert_eq!(
        store
            .tenant_limits_set(tenant.id, &none)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Request
    );
    let more = Limits {
        in_flight: 7,
        ..Limits::default()
    };
    assert_eq!(
        store
            .tenant_limits_set(tenant.id, &more)
            .await
            .unwrap()
            .unwrap()
            .limits,
        more
    );
    assert_eq!(
        store
            .tenant_limits_set(TenantId::new(), &more)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store.tenant_by_name(&name).await.unwrap().unwrap().limits,
        more
    );
    assert!(
        store
            .tenant_list()
            .await
            .unwrap()
            .iter()
            .any(|listed| listed.id == tenant.id)
    );
    let key = store
        .key_create(tenant.id, Role::Admin, "laptop")
        .await
        .unwrap();
    assert!(key.secret.expose().starts_with("lk_") && key.secret.expose().len() == 67);
    assert!(!format!("{key:?}").contains(key.secret.expose()));
    let caller = store.key_find(key.secret.expose()).await.unwrap().unwrap();
    assert_eq!(
        caller,
        Caller {
            tenant: tenant.id,
            key: key.id,
            role: Role::Admin,
            name,
            expires_at: None,
            limits: more,
            stored_bytes: None,
        }
    );
    assert_eq!(store.key_find("lk_other").await.unwrap(), None);
    assert_eq!(store.key_find("").await.unwrap(), None);
    let hashes: i64 = number(
        store,
        "select count(*) from api_keys where position('lk_'::bytea in hash) > 0",
    )
    .await;
    assert_eq!(hashes, 0);
    assert_eq!(store.key_list(Some(tenant.id)).await.unwrap().len(), 1);
    assert!(store.key_revoke(key.id).await.unwrap());
    assert!(!store.key_revoke(key.id).await.unwrap());
    assert_eq!(store.key_find(key.secret.expose()).await.unwrap(), None);
    assert!(
        store
            .key_list(None)
            .await
            .unwrap()
            .iter()
            .any(|listed| listed.id == key.id && listed.revoked_at.is_some())
    );
    assert!(matches!(
        store.key_create(TenantId::new(), Role::Tenant, "").await,
        Err(Error::NoTenant)
    ));
}

pub(in crate::tests) async fn keys_expire_and_show_their_use(store: &Store) {
    let ours = TestContext::new(store).await;
    let create = async |lifetime| {
        let key = store.key_create_for(ours.tenant, Role::Tenant, "", lifetime);
        key.await.unwrap()
    };
    let hour = create(Some(Duration::from_secs(3600))).await;
    let over = create(Some(Duration::ZERO)).await;
    let ever = create(None).await;
    let caller = store.key_find(hour.secret.expose()).await.unwrap().unwrap();
    assert!(caller.expires_at.is_some());
    assert_eq!(store.key_find(over.secret.expose()).await.unwrap(), None);
    let all = [hour.id, over.id, ever.id];
    let mut alive = store.keys_alive(&all).await.unwrap();
    alive.sort();
    assert_eq!(alive, [hour.id, ever.id]);
    assert!(store.key_revoke(ever.id).await.unwrap());
    assert_eq!(store.keys_alive(&all).await.unwrap(), [hour.id]);

    store.keys_used(&[hour.id]).await.unwrap();
    let listed = store.key_list(Some(ours.tenant)).await.unwrap();
    let used: Vec<_> = listed
        .iter()
        .filter(|key| key.used_at.is_some())
        .map(|key| key.id)
        .collect();
    assert_eq!(used, [hour.id]);
}

pub(in crate::tests) async fn what_is_stored_is_counted(store: &Store) {
    let ours = TestContext::new(store).await;
    let before = store.tenant_use(ours.tenant).await.unwrap();
    let fresh = NewImage {
        bytes: 1000,
        ..picture(ours.tenant, b"a thousand bytes")
    };
    for _ in 0..2 {
        store.image_create(ours.tenant, &fresh).await.unwrap();
        let used = store.tenant_use(ours.tenant).await.unwrap();
        assert_eq!(
            used.stored_bytes,
            before.stored_bytes + 1000,
            "counted once"
        );
        assert_eq!(
            used.uploaded_bytes_today,
            before.uploaded_bytes_today + 1000
        );
    }
    store
        .count(
            "test",
            sqlx::query("delete from images where tenant_id = $1 and bytes = 1000")
                .bind(ours.tenant.uuid()),
        )
        .await
        .unwrap();
    let used = store.tenant_use(ours.tenant).await.unwrap();
    assert_eq!(used.stored_bytes, before.stored_bytes, "room again");
    assert_eq!(
        used.uploaded_bytes_today,
        before.uploaded_bytes_today + 1000,
        "a deletion gives no upload back"
    );
    // What is stored is known with the key of a tenant that has a limit.
    let limits = Limits {
        stored_bytes: Some(5),
        ..Limits::default()
    };
    let limited = store.tenant_limits_set(ours.tenant, &limits).await.unwrap();
    assert_eq!(limited.unwrap().limits, limits);
    let key = store
        .key_create(ours.tenant, Role::Tenant, "")
        .await
        .unwrap();
    let caller = store.key_find(key.secret.expose()).await.unwrap().unwrap();
    assert_eq!(caller.stored_bytes, Some(before.stored_bytes));
}

pub(in crate::tests) async fn images_are_one_row_for_one_content(store: &Store) {
    let ours = TestContext::new(store).await;
    let theirs = TestContext::new(store).await;
    let again = store
        .image_create(ours.tenant, &picture(ours.tenant, b"picture"))
        .await
        .unwrap();
    assert_eq!(again.id, ours.image);
    assert_ne!(theirs.image, ours.image);
    assert_eq!(
        store.image_get(ours.tenant, ours.image).await.unwrap(),
        Some(again)
    );
    assert_eq!(
        store.image_get(theirs.tenant, ours.image).await.unwrap(),
        None
    );
    assert!(matches!(
        store
            .image_create(TenantId::new(), &picture(ours.tenant, b"x"))
            .await,
        Err(Error::NoTenant)
    ));
    // Only new bytes are charged.
    let today = time::OffsetDateTime::now_utc().date();
    let days = store.usage_get(
        ours.tenant,
        today.saturating_sub(time::Duration::DAY),
        today.saturating_add(time::Duration::DAY),
    );
    let days = days.await.unwrap();
    assert_eq!(
        days.iter()
            .map(|day| (day.bytes, day.edits))
            .collect::<Vec<_>>(),
        [(7, 0)]
    );

    let session = SessionId::new();
    for _ in 0..2 {
        let created = store.session_create(ours.tenant, session).await.unwrap();
        assert!(
            matches!(&created, SessionCreated::Created(view) if view.id == session),
            "{created:?}"
        );
    }
    assert!(matches!(
        store.session_create(theirs.tenant, session).await,
        Err(Error::NoTenant)
    ));
    assert_eq!(
        store.session_get(theirs.tenant, session).await.unwrap(),
        None
    );
}

pub(in crate::tests) async fn workers_beat_drain_and_go(store: &Store) {
    let context = TestContext::new(store).await;
    let unknown = store.worker_beat(WorkerId::new(), 0, None).await.unwrap();
    assert_eq!(
        unknown,
        HeartbeatReply {
            drain: false,
            known: false
        }
    );
    let worker = context.worker(4).await;
    assert_eq!(
        store.worker_beat(worker, 3, Some(0.75)).await.unwrap(),
        HeartbeatReply {
            drain: false,
            known: true
        }
    );
    assert_eq!(store.worker_drain(Some(worker), true).await.unwrap(), 1);
    assert!(store.worker_beat(worker, 3, None).await.unwrap().drain);
    let find = async || {
        store
            .worker_list()
            .await
            .unwrap()
            .into_iter()
            .find(|listed| listed.id == worker)
    };
    let listed = find().await.unwrap();
    assert!(listed.alive && listed.draining);
    assert_eq!(
        (listed.slots, listed.busy, listed.models),
        (4, 3, vec![context.model.clone()])
    );
    let later =
        sqlx::query("update workers set seen_at = now() - 3 * ttl - interval '1 s' where id = $1")
            .bind(worker.uuid());
    store.count("test", later).await.unwrap();
    assert!(!find().await.unwrap().alive);
    assert_eq!(
        store
            .workers_prune(Duration::from_secs(3600))
            .await
            .unwrap(),
        0
    );
    assert!(store.workers_prune(Duration::ZERO).await.unwrap() >= 1);
    assert_eq!(find().await, None);
    let other = context.worker(1).await;
    store.worker_gone(other).await.unwrap();
    assert!(!store.worker_beat(other, 0, None).await.unwrap().known);
}
