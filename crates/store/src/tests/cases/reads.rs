use limekiln_jobs::{Class, EditId, ErrorKind, Retryable, SessionId, StateName};
use sqlx::{AssertSqlSafe, Row};

use crate::tests::context::*;
use crate::*;

pub(in crate::tests) async fn pages_and_strangers(store: &Store) {
    let context = TestContext::new(store).await;
    let session = SessionId::new();
    store.session_create(context.tenant, session).await.unwrap();
    let submissions: Vec<_> = (0..5)
        .map(|n| Submission {
            session: (n % 2 == 0).then_some(session),
            ..context.submission()
        })
        .collect();
    store.edits_submit(&submissions).await.unwrap();
    context.claim(submissions[4].id).await;
    let list = async |filter: Filter, after, limit| {
        let page = store
            .edits_list(context.tenant, &filter, after, limit)
            .await
            .unwrap();
        (
            page.edits
                .into_iter()
                .map(|edit| edit.id)
                .collect::<Vec<_>>(),
            page.next,
        )
    };
    let ids: Vec<_> = submissions
        .iter()
        .rev()
        .map(|submission| submission.id)
        .collect();
    let all = Filter::default();
    assert_eq!(
        list(all.clone(), None, 2).await,
        (ids[..2].to_vec(), Some(ids[1]))
    );
    assert_eq!(
        list(all.clone(), Some(ids[1]), 2).await,
        (ids[2..4].to_vec(), Some(ids[3]))
    );
    assert_eq!(
        list(all.clone(), Some(ids[3]), 2).await,
        (ids[4..].to_vec(), None)
    );
    assert_eq!(list(all.clone(), None, 5).await, (ids.clone(), None));
    let running = Filter {
        state: Some(StateName::Running),
        ..all.clone()
    };
    assert_eq!(list(running.clone(), None, 100).await, (vec![ids[0]], None));
    let of_session = Filter {
        session: Some(session),
        ..all.clone()
    };
    assert_eq!(
        list(of_session.clone(), None, 100).await.0,
        [ids[0], ids[2], ids[4]]
    );
    assert_eq!(
        list(
            Filter {
                state: running.state,
                ..of_session.clone()
            },
            None,
            100
        )
        .await
        .0,
        [ids[0]]
    );
    let other_model = Filter {
        model: Some("other".parse().unwrap()),
        ..all.clone()
    };
    assert_eq!(list(other_model, None, 100).await.0, []);
    let of_batch = Filter {
        batch: Some(limekiln_jobs::BatchId::new()),
        ..all
    };
    assert_eq!(list(of_batch, None, 100).await.0, []);
    // Nothing of it is another tenant's.
    let stranger = context.with_other_tenant().await;
    assert!(
        store
            .edit_get(stranger.tenant, ids[0])
            .await
            .unwrap()
            .is_none()
    );
    for filter in [Filter::default(), of_session] {
        assert!(
            store
                .edits_list(stranger.tenant, &filter, None, 100)
                .await
                .unwrap()
                .edits
                .is_empty()
        );
    }
    let mut heads = store
        .events_heads(&[ids[0], ids[1], EditId::new()])
        .await
        .unwrap();
    heads.sort_unstable();
    assert_eq!(heads, [(ids[1], 1, false), (ids[0], 2, false)]);
    assert_eq!(store.events_after(ids[0], 1, 10).await.unwrap().len(), 1);
    assert_eq!(store.events_after(ids[0], 0, 1).await.unwrap()[0].seq, 1);
}

pub(in crate::tests) async fn counts_and_places(store: &Store) {
    let context = TestContext::new(store).await;
    let mut edits = Vec::new();
    for _ in 0..4 {
        edits.push(context.edit().await);
    }
    context
        .submit(Submission {
            class: Class::Bulk,
            ..context.submission()
        })
        .await;
    context.submit(context.turn(edits[3])).await;
    assert_eq!(context.release(1, 1).await, [edits[0]]);
    let places = async |edit| store.edit_queue_position(edit).await.unwrap();
    assert_eq!(places(edits[0]).await, Some(0));
    assert_eq!(places(edits[1]).await, Some(0));
    assert_eq!(places(edits[3]).await, Some(2));
    context.claim(edits[0]).await;
    assert_eq!(places(edits[0]).await, None);
    assert_eq!(context.release(1, 1).await, [edits[1]]);
    let counts = store.queue_counts().await.unwrap();
    let count = |class| {
        let count = counts
            .iter()
            .find(|count| count.model == context.model && count.class == class)
            .unwrap();
        (count.waiting, count.queued, count.announced, count.running)
    };
    assert_eq!(count(Class::Interactive), (1, 2, 1, 1));
    assert_eq!(count(Class::Bulk), (0, 1, 0, 0));
    let overdue = async || {
        let counts = store.queue_counts().await.unwrap();
        counts
            .iter()
            .find(|count| count.model == context.model && count.class == Class::Interactive)
            .unwrap()
            .lease_overdue_s
    };
    assert_eq!(overdue().await, 0.0);
    lease_expire(store, edits[0]).await;
    assert!(overdue().await >= 1.0);
}

pub(in crate::tests) async fn rows_that_cannot_be_are_refused(store: &Store) {
    let context = TestContext::new(store).await;
    let (running, _) = context.running().await;
    let queued = context.edit().await;
    let done = context.done().await;
    for (edit, sql) in [
        (running, "update edits set state = 'queued' where id = $1"),
        (
            running,
            "update edits set lease_expires_at = null where id = $1",
        ),
        (running, "update edits set worker_id = null where id = $1"),
        (
            running,
            "update edits set finished_at = now() where id = $1",
        ),
        (
            running,
            "update edits set announced_at = now(), next_announce_at = now(), announcements = 1 where id = $1",
        ),
        (
            running,
            "update edits set attempts = max_attempts where id = $1",
        ),
        (running, "update edits set claim_step = 1 where id = $1"),
        (
            running,
            "update edits set checkpoint_step = 1 where id = $1",
        ),
        (queued, "update edits set state = 'running' where id = $1"),
        (
            queued,
            "update edits set state = 'failed', finished_at = now() where id = $1",
        ),
        (queued, "update edits set state = 'waiting' where id = $1"),
        (
            queued,
            "update edits set announced_at = now() where id = $1",
        ),
        (queued, "update edits set state = 'done' where id = $1"),
        (queued, "update edits set image_id = null where id = $1"),
        (queued, "update edits set parent_id = id where id = $1"),
        (done, "update edits set finished_at = null where id = $1"),
        (done, "update edits set state = 'queued' where id = $1"),
    ] {
        let error = store
            .count("test", sqlx::query(sql).bind(edit.uuid()))
            .await
            .unwrap_err();
        let Error::Database(sqlx::Error::Database(refused)) = &error else {
            panic!("{sql}: {error}")
        };
        assert_eq!(refused.code().as_deref(), Some("23514"), "{sql}");
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}

pub(in crate::tests) async fn lines_are_what_the_edits_are(store: &Store) {
    let context = TestContext::new(store).await;
    let other = context.with_other_tenant().await;
    let mut edits = Vec::new();
    for place in [&context, &context, &context, &other, &other] {
        edits.push(place.edit().await);
    }
    let bulk = context
        .submit(Submission {
            class: Class::Bulk,
            ..context.submission()
        })
        .await;
    context.submit(context.turn(edits[2])).await;
    let line = async |of: &TestContext, class: &str| {
        let mut conn = store.conn().await.unwrap();
        sqlx::raw_sql(release::BEGIN)
            .execute(conn.get())
            .await
            .unwrap();
        sqlx::raw_sql("commit").execute(conn.get()).await.unwrap();
        conn.done();
        let line = sqlx::query("select queued, waiting, head from lines where model = $1 and tenant_id = $2 and class = $3")
            .bind(of.model.as_str())
            .bind(of.tenant.uuid())
            .bind(class);
        let line = store.row("test", line).await.unwrap().unwrap();
        let head = line.get::<Option<uuid::Uuid>, _>("head");
        (
            i64::from(line.get::<i32, _>("queued")),
            i64::from(line.get::<i32, _>("waiting")),
            head.map(EditId::from),
        )
    };
    assert_eq!(line(&context, "interactive").await, (3, 1, Some(edits[0])));
    assert_eq!(line(&context, "bulk").await, (1, 0, Some(bulk)));
    assert_eq!(line(&other, "interactive").await, (2, 0, Some(edits[3])));
    // What stands before it in its line, and one of the other's for each of them and itself.
    let place = async |edit| store.edit_queue_position(edit).await.unwrap();
    assert_eq!(place(edits[0]).await, Some(1));
    assert_eq!(place(edits[2]).await, Some(4));
    assert_eq!(place(edits[4]).await, Some(3));
    // Released, cancelled, handed back: the line knows.
    assert_eq!(context.release(2, 2).await, [edits[0], edits[3]]);
    assert_eq!(line(&context, "interactive").await, (2, 1, Some(edits[1])));
    store.edit_cancel(context.tenant, edits[1]).await.unwrap();
    assert_eq!(line(&context, "interactive").await.0, 1);
    let claimed = context.claim(edits[0]).await;
    store
        .edits_hand_back(&[(edits[0], claimed.epoch, 0)])
        .await
        .unwrap();
    assert_eq!(line(&context, "interactive").await, (2, 1, Some(edits[0])));
    assert_eq!(context.release(9, 9).await.len(), 4);
    assert_eq!(line(&context, "interactive").await, (0, 1, None));
    // Whatever was in them, they can be counted anew.
    let wrong = sqlx::query("update lines set queued = 77, head = null where model = $1")
        .bind(context.model.as_str());
    store.count("test", wrong).await.unwrap();
    let late = context.edit().await;
    assert!(store.lines_recount().await.unwrap() > 0);
    assert_eq!(line(&context, "interactive").await, (1, 1, Some(late)));
    // After a crash of Postgres nothing is counted, and the next release notices.
    for table in ["lines", "line_changes"] {
        let lost = format!("delete from {table} where model = $1");
        let lost = sqlx::query(AssertSqlSafe(lost)).bind(context.model.as_str());
        store.count("test", lost).await.unwrap();
    }
    store
        .count("test", sqlx::query("delete from line_folds"))
        .await
        .unwrap();
    assert_eq!(context.release(0, 0).await, []);
    assert_eq!(line(&context, "interactive").await, (1, 1, Some(late)));
    // Changes that a restored database brings along from another server's transactions are folded, too.
    let restored = sqlx::query("update line_folds set before = '9000000000000000000'");
    store.count("test", restored).await.unwrap();
    let last = context.edit().await;
    assert_eq!(context.release(99, 99).await, [late, last]);
}

pub(in crate::tests) async fn ids_and_live_events_have_the_databases_clock(store: &Store) {
    // As on a machine whose clock is an hour behind.
    let hour = time::Duration::hours(1);
    store.clock_set(time::OffsetDateTime::now_utc() + hour);
    let ahead = store.clock();
    assert!(ahead > time::OffsetDateTime::now_utc() + hour / 2);
    let (first, second) = (EditId::at(ahead), EditId::at(ahead));
    assert!(EditId::new() < first && first < second);
    store.ping().await.unwrap();
    let now = store.now().await.unwrap();
    assert!((now - store.clock()).abs() < hour / 2);
    assert!(
        EditId::at(store.clock()) > second,
        "ids of one process only grow"
    );
}
