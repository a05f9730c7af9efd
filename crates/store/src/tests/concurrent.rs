//! What only concurrency shows: nothing doubled, nothing leaked, no deadlock, whatever comes at once.

use std::collections::HashSet;
use std::time::Duration;

use limekiln_jobs::{Digest, EditId, ErrorKind, FailureClass, Retryable, WorkerId};
use limekiln_testbed::{Postgres, Proxy, until};
use sqlx::Executor;
use tokio::task::JoinSet;

use super::context::*;
use crate::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_edit_is_claimed_by_one_worker_alone() {
    let store = postgres().await;
    let context = TestContext::new(&store).await;
    let submissions: Vec<_> = (0..200).map(|_| context.submission()).collect();
    store.edits_submit(&submissions).await.unwrap();
    let mut edits: Vec<EditId> = submissions.iter().map(|submission| submission.id).collect();
    let mut claims = JoinSet::new();
    for n in 0..6 {
        let store = store.clone();
        edits.rotate_left(n);
        let edits = edits.clone();
        claims.spawn(async move {
            let worker = WorkerId::new();
            let mut claimed = Vec::new();
            for some in edits.chunks(10) {
                claimed.extend(
                    store
                        .edits_claim(worker, some, TTL)
                        .await
                        .unwrap()
                        .into_iter()
                        .flatten(),
                );
            }
            claimed
        });
    }
    let claimed: Vec<Claimed> = claims.join_all().await.into_iter().flatten().collect();
    let distinct: HashSet<EditId> = claimed.iter().map(|claimed| claimed.edit).collect();
    assert_eq!((claimed.len(), distinct.len()), (200, 200));
    assert!(claimed.iter().all(|claimed| claimed.epoch.get() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_row_that_is_held_up_holds_up_no_other_lease() {
    let store = postgres().await;
    let context = TestContext::new(&store).await;
    let short = Duration::from_secs(1);
    let (stuck, other) = (context.edit().await, context.edit().await);
    let claimed = store
        .edits_claim(context.worker, &[stuck, other], short)
        .await
        .unwrap();
    let leases: Vec<_> = claimed
        .iter()
        .flatten()
        .map(|claimed| (claimed.edit, claimed.epoch))
        .collect();
    // As a statement does that waits for its tenant.
    let mut conn = store.conn().await.unwrap();
    conn.get().execute("begin").await.unwrap();
    sqlx::query("select from edits where id = $1 for no key update")
        .bind(stuck.uuid())
        .execute(conn.get())
        .await
        .unwrap();
    let renewing = store.leases_renew(context.worker, &leases, TTL);
    let renewed = tokio::time::timeout(Duration::from_secs(3), renewing)
        .await
        .expect("the renewal waits for a row that another statement holds")
        .unwrap();
    // Both are held; only the one that could be was extended.
    assert!(
        renewed.iter().all(|write| write.is_applied()),
        "{renewed:?}"
    );
    let left = "select id from edits where lease_expires_at < now() + make_interval(secs => 5)";
    let short: Vec<uuid::Uuid> = sqlx::query_scalar(left)
        .fetch_all(conn.get())
        .await
        .unwrap();
    assert_eq!(short, [stuck.uuid()]);
    conn.get().execute("rollback").await.unwrap();
    conn.done();
    let renewed = store
        .leases_renew(context.worker, &leases, TTL)
        .await
        .unwrap();
    assert!(renewed.iter().all(|write| write.is_applied()));
    assert!(store.edits_reap(10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn coordinators_together_keep_the_window_and_limits_hold_across_gateways() {
    let store = postgres().await;
    let context = TestContext::with(
        &store,
        &Limits {
            in_flight: 100,
            ..Limits::UNLIMITED
        },
    )
    .await;
    let mut submits = JoinSet::new();
    for _ in 0..6 {
        let store = store.clone();
        let submissions: Vec<_> = (0..40).map(|_| context.submission()).collect();
        submits.spawn(async move {
            let mut created = 0;
            for some in submissions.chunks(4) {
                let answers = store.edits_submit(some).await.unwrap();
                created += answers
                    .iter()
                    .filter(|answer| matches!(answer, Submitted::Created { .. }))
                    .count();
            }
            created
        });
    }
    assert_eq!(submits.join_all().await.iter().sum::<usize>(), 100);
    assert_eq!(context.in_flight().await, 100);
    let mut releases = JoinSet::new();
    for _ in 0..6 {
        let (store, model) = (store.clone(), context.model.clone());
        releases.spawn(async move {
            let mut released = Vec::new();
            for _ in 0..10 {
                released.extend(store.edits_release(Some(&model), 30, 7).await.unwrap());
            }
            released
        });
    }
    let released: Vec<Announcement> = releases.join_all().await.into_iter().flatten().collect();
    let distinct: HashSet<EditId> = released
        .iter()
        .map(|announcement| announcement.edit)
        .collect();
    assert_eq!((released.len(), distinct.len()), (30, 30));
}

/// Two that looked at the same time would each fill the window.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_waits_for_the_one_before_it() {
    let store = postgres().await;
    let context = TestContext::new(&store).await;
    let (first, second) = (context.edit().await, context.edit().await);
    let mut before = store.conn().await.unwrap();
    before
        .get()
        .execute(sqlx::raw_sql(release::BEGIN))
        .await
        .unwrap();
    let after = tokio::spawn({
        let (store, model) = (store.clone(), context.model.clone());
        async move { store.edits_release(Some(&model), 1, 8).await.unwrap() }
    });
    let waiting = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
        where d.datname = current_database() and l.locktype = 'advisory' and not l.granted";
    until("the release waits", Duration::from_secs(20), async || {
        number(&store, waiting).await == 1
    })
    .await;
    let announce = "update edits set announced_at = now(), announcements = 1, next_announce_at = now() where id = $1";
    sqlx::query(announce)
        .bind(first.uuid())
        .execute(before.get())
        .await
        .unwrap();
    before.get().execute(sqlx::raw_sql("commit")).await.unwrap();
    before.done();
    assert_eq!(after.await.unwrap(), []);
    context.claim(first).await;
    assert_eq!(context.release(1, 8).await, [second]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_creates_one_edit() {
    let store = postgres().await;
    let context = TestContext::new(&store).await;
    let mut submits = JoinSet::new();
    for _ in 0..12 {
        let store = store.clone();
        let idempotency = Some(Idempotency {
            key: "order-7".to_owned(),
            digest: Digest::of(b"body"),
        });
        let submission = Submission {
            idempotency,
            ..context.submission()
        };
        submits.spawn(async move { store.edits_submit(&[submission]).await.unwrap().remove(0) });
    }
    let answers = submits.join_all().await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| matches!(answer, Submitted::Created { .. }))
            .count(),
        1
    );
    assert_eq!(
        answers
            .iter()
            .filter(|answer| matches!(answer, Submitted::Replayed { .. }))
            .count(),
        11
    );
    assert_eq!(context.in_flight().await, 1);
}

/// Workers, reapers, cancels and submits on the same edits of the same tenants, in every order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_at_once_deadlocks_nowhere_and_leaks_nothing() {
    let store = postgres().await;
    let first = TestContext::new(&store).await;
    let mut places = vec![
        first.with_other_tenant().await,
        first.with_other_tenant().await,
        first.with_other_tenant().await,
    ];
    places.push(first);
    let submissions: Vec<_> = (0..400).map(|n| places[n % 4].submission()).collect();
    store.edits_submit(&submissions).await.unwrap();
    let owners: Vec<_> = submissions
        .iter()
        .map(|submission| (submission.tenant, submission.id))
        .collect();
    let mut tasks = JoinSet::new();
    for n in 0..4 {
        let (store, owners, context) = (store.clone(), owners.clone(), places.pop().unwrap());
        tasks.spawn(async move {
            let ids: Vec<_> = owners.iter().map(|(_, edit)| *edit).collect();
            for round in 0..12 {
                // Every task takes every edit, in an order of its own.
                let mut mine = ids.clone();
                mine.rotate_left((n * 97 + round * 31) % 400);
                if n % 2 == 1 {
                    mine.reverse();
                }
                let some = &mine[..64];
                let claimed: Vec<_> = store
                    .edits_claim(context.worker, some, Duration::ZERO)
                    .await
                    .unwrap()
                    .into_iter()
                    .flatten()
                    .collect();
                let leases: Vec<_> = claimed
                    .iter()
                    .map(|claimed| (claimed.edit, claimed.epoch))
                    .collect();
                let _ = store
                    .leases_renew(context.worker, &leases, Duration::ZERO)
                    .await
                    .unwrap();
                let (done, rest) = leases.split_at(leases.len() / 3);
                let (failed, rest) = rest.split_at(rest.len() / 2);
                let completions: Vec<_> = done
                    .iter()
                    .map(|&(edit, epoch)| Completion {
                        edit,
                        epoch,
                        artifacts: vec![],
                        report: None,
                        gpu_ms: 1,
                    })
                    .collect();
                store.edits_complete(&completions).await.unwrap();
                let failure =
                    limekiln_jobs::Failure::new(FailureClass::Internal, "broken", "it broke");
                let failures: Vec<_> = failed
                    .iter()
                    .map(|&(edit, epoch)| Failed {
                        edit,
                        epoch,
                        failure: failure.clone(),
                        gpu_ms: 1,
                    })
                    .collect();
                store.edits_fail(&failures).await.unwrap();
                let rest: Vec<_> = rest.iter().map(|&(edit, epoch)| (edit, epoch, 1)).collect();
                store.edits_hand_back(&rest).await.unwrap();
                store.edits_reap(64).await.unwrap();
                let (tenant, edit) = owners[(n * 13 + round * 7) % 400];
                store.edit_cancel(tenant, edit).await.unwrap();
                store.edit_retry(mine[0]).await.unwrap();
                store
                    .edits_submit(&[context.submission(), context.submission()])
                    .await
                    .unwrap();
                store.edits_release(None, 50, 50).await.unwrap();
                // What others change meanwhile is not taken for a fault.
                assert_eq!(store.lines_recount().await.unwrap(), 0);
            }
        });
    }
    tasks.join_all().await;
    let leaks = "select count(*) from tenants t
        where t.in_flight <> (select count(*) from edits e where e.tenant_id = t.id and e.finished_at is null)";
    assert_eq!(number(&store, leaks).await, 0);
    let gaps = "select count(*) from edits e
        where exists (
            select from (select count(*) as n, max(v.seq) as head from edit_events v where v.edit_id = e.id) h
            where h.n <> e.seq or h.head <> e.seq
        )";
    assert_eq!(number(&store, gaps).await, 0);
    // What is counted is what is there, all changes folded.
    store.edits_release(None, 1, 1).await.unwrap();
    let off = "select count(*) from (
            select model, needs, class, tenant_id, queued, waiting from lines where queued <> 0 or waiting <> 0
            except
            select model, needs, class, tenant_id, queued, waiting from true_lines
            union all
            select model, needs, class, tenant_id, queued, waiting from true_lines
            except
            select model, needs, class, tenant_id, queued, waiting from lines
        ) off";
    let truth = "create view true_lines as
        select e.model, e.needs, e.class, e.tenant_id,
            count(*) filter (where e.state = 'queued') as queued, count(*) filter (where e.state = 'waiting') as waiting
        from edits e
        where e.state = 'queued' and e.announced_at is null or e.state = 'waiting'
        group by e.model, e.needs, e.class, e.tenant_id";
    let mut conn = store.conn().await.unwrap();
    conn.get().execute(truth).await.unwrap();
    conn.get()
        .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(
            [release::BEGIN, "; commit"].concat(),
        )))
        .await
        .unwrap();
    conn.done();
    assert_eq!(number(&store, off).await, 0);
    let headless = "select count(*) from edits e
        where e.state = 'queued' and e.announced_at is null and not exists (
            select from lines l
            where l.model = e.model and l.needs = e.needs and l.class = e.class and l.tenant_id = e.tenant_id and l.head <= e.id
        )";
    assert_eq!(number(&store, headless).await, 0);
    let unpaid = "select abs((select coalesce(sum(u.edits), 0) from usage u)
        - (select count(*) from edit_events where kind in ('succeeded', 'failed', 'cancelled')))::bigint";
    assert_eq!(number(&store, unpaid).await, 0);
    assert!(
        number(
            &store,
            "select count(*) from edits where state = 'succeeded'"
        )
        .await
            > 50
    );
}

/// A turn that comes in at the moment at which its parent ends is seen by one side or the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_comes_in_while_its_parent_ends_does_not_wait_for_a_look() {
    let store = postgres().await;
    let context = TestContext::new(&store).await;
    let (parent, epoch) = context.running().await;
    let mut submitting = store.conn().await.unwrap();
    let tenant = context.tenant;
    submitting.get().execute("begin").await.unwrap();
    sqlx::query("select from tenants where id = $1 for no key update")
        .bind(tenant.uuid())
        .execute(submitting.get())
        .await
        .unwrap();
    let ending = tokio::spawn({
        let context = context.clone();
        async move { context.complete(parent, epoch).await }
    });
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    until(
        "the end waits for the tenant",
        Duration::from_secs(20),
        async || number(&store, waiting).await == 1,
    )
    .await;
    let turn = EditId::new();
    sqlx::query(
        "insert into edits (id, tenant_id, parent_id, model, class, spec, born, state, max_attempts)
        select $1, tenant_id, id, model, class, spec, 'waiting', 'waiting', 3 from edits where id = $2",
    )
    .bind(turn.uuid())
    .bind(parent.uuid())
    .execute(submitting.get())
    .await
    .unwrap();
    submitting.get().execute("commit").await.unwrap();
    submitting.done();
    assert!(ending.await.unwrap().is_applied());
    assert_eq!(context.state(turn).await, limekiln_jobs::StateName::Queued);
}

/// A tenant whose row somebody holds keeps nobody else waiting, and is let in once it is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_held_holds_up_no_other() {
    let store = postgres().await;
    let held = TestContext::new(&store).await;
    let others = [
        held.with_other_tenant().await,
        held.with_other_tenant().await,
    ];
    let mut holder = store.conn().await.unwrap();
    holder.get().execute("begin").await.unwrap();
    sqlx::query("select from tenants where id = $1 for update")
        .bind(held.tenant.uuid())
        .execute(holder.get())
        .await
        .unwrap();
    let stranger = Submission {
        tenant: limekiln_jobs::TenantId::new(),
        ..held.submission()
    };
    let submissions = [
        others[0].submission(),
        held.submission(),
        stranger,
        others[1].submission(),
        held.submission(),
    ];
    for hurry in [false, true] {
        let answers = store.edits_submit_free(&submissions, hurry);
        let answers = tokio::time::timeout(Duration::from_secs(3), answers)
            .await
            .expect("all wait for one tenant")
            .unwrap();
        let created =
            |answer: &Option<Submitted>| matches!(answer, Some(Submitted::Created { .. }));
        assert!(created(&answers[0]) && created(&answers[3]), "{answers:?}");
        assert_eq!(answers[2], Some(Submitted::NoTenant));
        assert_eq!((&answers[1], &answers[4]), (&None, &None));
    }
    holder.get().execute("commit").await.unwrap();
    holder.done();
    let answers = store.edits_submit_free(&submissions, true).await.unwrap();
    assert!(answers.iter().all(Option::is_some), "{answers:?}");
    assert_eq!(held.in_flight().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_made_once_by_many() {
    let url = Postgres::shared().database().await;
    let store = Store::connect(&Settings::new(&url)).await.unwrap();
    let error = store.schema_check().await.unwrap_err();
    assert!(
        matches!(error, Error::SchemaOld { found: 0, .. }) && error.kind() == ErrorKind::Setup,
        "{error}"
    );
    assert!(error.to_string().contains("limekiln migrate"));
    let before = store.server().await.unwrap();
    assert_eq!((before.schema, before.may_migrate), (0, true));
    let mut migrations = JoinSet::new();
    for _ in 0..4 {
        let store = store.clone();
        migrations.spawn(async move { store.migrate().await });
    }
    for migrated in migrations.join_all().await {
        migrated.unwrap();
    }
    store.schema_check().await.unwrap();
    // A program of yesterday finds nothing to do on tomorrow's schema.
    let tomorrow = sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (9999, 'tomorrow', true, '', 0)",
    );
    store.count("test", tomorrow).await.unwrap();
    store.schema_check().await.unwrap();
    store.migrate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_network_are_transient_and_pass() {
    let proxy = Proxy::start(Postgres::shared().port());
    let url = proxy.before(&Postgres::shared().database().await);
    let settings = Settings {
        acquire_timeout: Duration::from_secs(2),
        ..Settings::new(url)
    };
    let store = Store::connect(&settings).await.unwrap();
    store.migrate().await.unwrap();
    let context = TestContext::new(&store).await;
    let edit = context.edit().await;
    proxy.refuse();
    proxy.cut();
    let error = store.ping().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    proxy.resume();
    until(
        "the store comes back",
        Duration::from_secs(20),
        async || store.ping().await.is_ok(),
    )
    .await;
    // A caller that goes away in the middle of a statement leaves no connection behind that answers somebody else.
    for _ in 0..20 {
        let sleeping = store.rows("test", sqlx::query("select pg_sleep(10), 'wrong' as state"));
        assert!(
            tokio::time::timeout(Duration::from_millis(5), sleeping)
                .await
                .is_err()
        );
        assert_eq!(context.state(edit).await, limekiln_jobs::StateName::Queued);
    }
    assert!(matches!(
        Store::connect(&Settings::new("mysql://x")).await,
        Err(Error::Url(_))
    ));
    let nobody = Settings {
        acquire_timeout: Duration::from_secs(2),
        ..Settings::new("postgres://x@127.0.0.1:1/x")
    };
    assert!(Store::connect(&nobody).await.unwrap_err().is_transient());
}
