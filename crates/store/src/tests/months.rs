//! Events by month: what is dropped, what of it is left, and how an older database gets there.

use std::time::Duration;

use limekiln_jobs::{EditId, EventKind, FailureClass, StateName};
use limekiln_testbed::Postgres;
use sqlx::Row as _;
use sqlx::migrate::{Migration, MigrationType};
use sqlx::{Executor as _, SqlSafeStr as _};

use super::context::*;
use crate::migrate::OUTSIDE;
use crate::store::MIGRATIONS;
use crate::*;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// An id as it was made that many days ago.
async fn old_id(store: &Store, days: i32, n: i64) -> EditId {
    let id = sqlx::query(
        "select (substr(events_month_id((now() - make_interval(days => $1)) at time zone 'utc')::text, 1, 14)
            || '7000-8000-' || lpad($2::text, 12, '0'))::uuid as id",
    )
    .bind(days)
    .bind(n);
    let row = store.row("test", id).await.unwrap().unwrap();
    EditId::from(row.get::<uuid::Uuid, _>("id"))
}

/// An edit as a gateway of before wrote it; a turn, which waits, with a parent.
async fn older_edit(context: &TestContext, parent: Option<EditId>) -> EditId {
    let id = EditId::new();
    let state = if parent.is_some() {
        "waiting"
    } else {
        "queued"
    };
    let row = sqlx::query(
        "insert into edits (id, tenant_id, image_id, parent_id, model, class, spec, born, state, max_attempts)
        values ($1, $2, case when $4::uuid is null then $3 end, $4, $5, 'interactive', $6, $7, $7, 3) returning id",
    )
    .bind(id.uuid())
    .bind(context.tenant.uuid())
    .bind(context.image.uuid())
    .bind(parent.map(|parent| parent.uuid()))
    .bind(context.model.as_str())
    .bind(sqlx::types::Json(spec()))
    .bind(state);
    context.store.row("test", row).await.unwrap().unwrap();
    id
}

async fn parts(store: &Store) -> Vec<String> {
    let parts =
        "select c.relname::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'edit_events'::regclass order by 1";
    let rows = store.rows("test", sqlx::query(parts)).await.unwrap();
    rows.iter().map(|row| row.get("name")).collect()
}

async fn execute(store: &Store, sql: &'static str) {
    let mut conn = store.conn().await.unwrap();
    conn.get().execute(sqlx::raw_sql(sql)).await.unwrap();
    conn.done();
}

#[tokio::test]
async fn a_month_is_dropped_once_all_its_edits_have_ended() {
    let store = postgres().await;
    // As a database that was made in an earlier month has it.
    execute(
        &store,
        "do $$ begin
            execute 'alter table edit_events detach partition edit_events_first';
            execute format('alter table edit_events attach partition edit_events_first for values from (minvalue) to (%L)',
                events_month_id(date_trunc('month', (now() - interval '10 days') at time zone 'utc')));
        end $$",
    )
    .await;
    assert_eq!(
        store.events_months(WEEK).await.unwrap(),
        ["edit_events_first"]
    );
    execute(
        &store,
        "do $$ begin
            execute format('create table edit_events_2000_01 partition of edit_events for values from (%L) to (%L)',
                events_month_id('2000-01-01'), events_month_id(date_trunc('month', (now() - interval '10 days') at time zone 'utc')));
        end $$",
    )
    .await;
    let context = TestContext::new(&store).await;
    let mut edits = Vec::new();
    for n in 0..3 {
        let id = old_id(&store, 60, n).await;
        edits.push(
            context
                .submit(Submission {
                    id,
                    ..context.submission()
                })
                .await,
        );
    }
    let [done, failed, live] = edits[..] else {
        panic!("three")
    };
    let claimed = context.claim(done).await;
    assert!(context.complete(done, claimed.epoch).await.is_applied());
    let claimed = context.claim(failed).await;
    assert!(
        context
            .fail(failed, claimed.epoch, FailureClass::User)
            .await
            .is_applied()
    );
    let new = context.done().await;
    assert_eq!(
        store.events_months(WEEK).await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(context.kinds(live).await.len(), 1);
    store.edit_cancel(context.tenant, live).await.unwrap();
    assert_eq!(
        store.events_months(10_000 * WEEK).await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(
        store.events_months(WEEK).await.unwrap(),
        ["edit_events_2000_01"]
    );
    assert!(parts(&store).await.len() >= 4, "months ahead");
    // How it ended is told for as long as the edit is there.
    for (edit, kind, seq) in [
        (done, EventKind::Succeeded, 3),
        (failed, EventKind::Failed, 3),
        (live, EventKind::Cancelled, 2),
    ] {
        let left = store.events_after(edit, 0, 10).await.unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!((left[0].kind, left[0].seq), (kind, seq));
        assert!(store.events_after(edit, seq, 10).await.unwrap().is_empty());
    }
    assert_eq!(context.kinds(new).await.len(), 3);
    // It goes on where it was, in a month that is no more.
    store.edit_retry(failed).await.unwrap();
    let claimed = context.claim(failed).await;
    assert!(context.complete(failed, claimed.epoch).await.is_applied());
    let seqs: Vec<u64> = store
        .events_after(failed, 0, 10)
        .await
        .unwrap()
        .iter()
        .map(|event| event.seq)
        .collect();
    assert_eq!(seqs, [4, 5, 6]);
}

/// Who reads the events keeps nobody waiting: the month goes another time.
#[tokio::test]
async fn a_month_that_is_read_is_left_alone() {
    let store = postgres().await;
    let mut reader = store.conn().await.unwrap();
    reader
        .get()
        .execute("begin; select from edit_events limit 1")
        .await
        .unwrap();
    execute(
        &store,
        "create function test_months() returns text[] language sql as $$ select events_months(-400 * 86400) $$",
    )
    .await;
    let began = tokio::time::Instant::now();
    let months = sqlx::query("select test_months() as dropped");
    let dropped: Vec<String> = store
        .row("test", months)
        .await
        .unwrap()
        .unwrap()
        .get("dropped");
    assert_eq!(dropped, Vec::<String>::new());
    assert!(began.elapsed() < Duration::from_secs(5));
    reader.get().execute("rollback").await.unwrap();
    reader.done();
}

/// The tables as they were, with edits in them, brought up to date while nobody is kept waiting.
#[tokio::test]
async fn an_older_database_keeps_its_events_and_its_queue() {
    let url = Postgres::shared().database().await;
    let store = Store::connect(&Settings::new(url)).await.unwrap();
    let steps: Vec<Migration> = MIGRATIONS
        .iter()
        .filter(|(version, ..)| *version < 14)
        .map(|&(version, name, sql)| {
            let outside = sql.starts_with(OUTSIDE);
            Migration::new(
                version,
                name.into(),
                MigrationType::Simple,
                sql.into_sql_str(),
                outside,
            )
        })
        .collect();
    let mut conn = store.conn().await.unwrap();
    store
        .apply_all(&mut conn, &steps, Duration::from_secs(60))
        .await
        .unwrap();
    conn.done();
    let context = TestContext::new(&store).await;
    // Submissions of today know tables of today.
    let queued = older_edit(&context, None).await;
    let turn = older_edit(&context, Some(queued)).await;
    execute(&store, "insert into edit_events select id, 7, now(), 'progress', '{}' from edits where state = 'queued'").await;
    store.migrate().await.unwrap();
    // As one that died before it noted that it was done.
    execute(
        &store,
        "delete from _sqlx_migrations where version in (16, 17)",
    )
    .await;
    store.migrate().await.unwrap();
    assert!(
        parts(&store)
            .await
            .contains(&"edit_events_first".to_owned())
    );
    let seqs: Vec<u64> = store
        .events_after(queued, 0, 10)
        .await
        .unwrap()
        .iter()
        .map(|event| event.seq)
        .collect();
    assert_eq!(seqs, [1, 7]);
    execute(&store, "delete from edit_events where seq = 7").await;
    assert_eq!(context.release(1, 1).await, [queued]);
    let claimed = context.claim(queued).await;
    assert!(context.complete(queued, claimed.epoch).await.is_applied());
    assert_eq!(context.state(turn).await, StateName::Queued);
    assert_eq!(context.release(1, 1).await, [turn]);
}
