//! No hot statement reads a table, whatever the statistics say: right after a bulk load, on an empty table, on a tiny one.

use sqlx::Row;

use super::context::*;
use crate::*;

/// Types of the parameters, and the statement.
const HOT: &[(&str, &str)] = &[
    (
        "uuid, uuid[], float8",
        include_str!("../sql/edits_claim.sql"),
    ),
    (
        "uuid, uuid[], float8",
        include_str!("../sql/edits_reclaim.sql"),
    ),
    (
        "uuid, uuid[], int[], float8",
        include_str!("../sql/leases_renew.sql"),
    ),
    (
        "uuid[], int[], text[], int[], int[], text[]",
        include_str!("../sql/edits_progress.sql"),
    ),
    (
        "uuid[], int[], text[], int[], bytea[], bigint[]",
        include_str!("../sql/edits_checkpoint.sql"),
    ),
    (
        "uuid[], int[], jsonb[], bigint[], bigint[], jsonb[]",
        include_str!("../sql/edits_complete.sql"),
    ),
    (
        "uuid[], int[], bool[], jsonb[], float8[], float8[], float8[], float8[], int2[], int, bigint[]",
        include_str!("../sql/edits_fail.sql"),
    ),
    (
        "uuid[], int[], bigint[]",
        include_str!("../sql/edits_hand_back.sql"),
    ),
    (
        "uuid[], int[], bigint[]",
        include_str!("../sql/edits_charge.sql"),
    ),
    (
        "text, bigint, bigint",
        include_str!("../sql/edits_release.sql"),
    ),
    (
        "text, text, text, bigint, int",
        include_str!("../sql/edits_announce_again.sql"),
    ),
    ("", include_str!("../sql/edits_overdue.sql")),
    ("float8, int", include_str!("../sql/edits_age.sql")),
    ("float8, int", include_str!("../sql/edits_step_aside.sql")),
    ("uuid, text[], int", include_str!("../sql/inputs_next.sql")),
    ("int, float8", include_str!("../sql/edits_reap.sql")),
    ("uuid, uuid[]", include_str!("../sql/edits_return.sql")),
    (
        "uuid[], int[], jsonb[]",
        include_str!("../sql/edits_pass_on.sql"),
    ),
    (
        "uuid[], int[], text[]",
        include_str!("../sql/edits_start_over.sql"),
    ),
    ("int", include_str!("../sql/edits_retry_due.sql")),
    ("int, uuid", include_str!("../sql/turns_unblock.sql")),
    (
        "uuid, bigint",
        include_str!("../sql/edit_queue_position.sql"),
    ),
    ("uuid, bigint, int", include_str!("../sql/events_after.sql")),
    ("uuid, uuid", include_str!("../sql/edit_cancel.sql")),
    ("uuid", include_str!("../sql/edit_retry.sql")),
    (
        "uuid[], uuid[], uuid[], uuid[], text[], uuid[]",
        include_str!("../sql/submit_look.sql"),
    ),
    (
        "uuid, bytea[], bytea",
        include_str!("../sql/intermediates_find.sql"),
    ),
    (
        "uuid, uuid, bytea, bytea[], text[], bytea[], text[], bytea[], bigint[]",
        include_str!("../sql/intermediates_keep.sql"),
    ),
    (
        "uuid, bytea[]",
        include_str!("../sql/intermediates_used.sql"),
    ),
    ("", include_str!("../sql/queue_counts.sql")),
    ("text[]", include_str!("../sql/blobs_unreferenced.sql")),
    ("text[]", include_str!("../sql/blobs_referenced.sql")),
    ("text[]", include_str!("../sql/blob_deletions_done.sql")),
    ("int", include_str!("../sql/blob_deletions_claim.sql")),
    (
        "uuid, uuid, uuid, bool, int",
        include_str!("../sql/edits_delete.sql"),
    ),
    ("uuid, uuid, bool", include_str!("../sql/image_delete.sql")),
    ("uuid, int", include_str!("../sql/tenant_edits_cancel.sql")),
    ("uuid, int", include_str!("../sql/tenant_edits_delete.sql")),
    ("uuid, int", include_str!("../sql/tenant_images_delete.sql")),
    (
        "text[], bigint[], bigint, float8",
        include_str!("../sql/sweep_mark.sql"),
    ),
    (
        "float8, float8, timestamptz, int",
        include_str!("../sql/edits_prune.sql"),
    ),
    (
        "float8, timestamptz, int",
        include_str!("../sql/images_expire.sql"),
    ),
    (
        "float8, timestamptz, int",
        include_str!("../sql/sessions_prune.sql"),
    ),
    ("float8, int", include_str!("../sql/checkpoints_expire.sql")),
    (
        "uuid, uuid, text, text, bigint, bigint",
        include_str!("../sql/edits_list.sql"),
    ),
    (
        "uuid, text, int, int",
        include_str!("../sql/webhooks_due.sql"),
    ),
    (
        "uuid[], text[], int[], float8",
        include_str!("../sql/webhooks_claim.sql"),
    ),
    ("uuid, text[]", include_str!("../sql/edits_before.sql")),
    (
        "uuid[], uuid[], uuid[]",
        include_str!("../sql/submit_sessions.sql"),
    ),
    (
        "uuid, uuid, uuid[]",
        include_str!("../sql/catalog_release.sql"),
    ),
    ("uuid, int", include_str!("../sql/catalog_ended.sql")),
    ("int", include_str!("../sql/catalogs_due.sql")),
    (
        "uuid, text, text, int",
        include_str!("../sql/edits_rates.sql"),
    ),
    ("float8, int", include_str!("../sql/catalogs_prune.sql")),
    (
        "int, int, uuid, float8",
        include_str!("../sql/catalog_pictures_claim.sql"),
    ),
    (
        "int, uuid, float8",
        include_str!("../sql/openai_batches_claim.sql"),
    ),
    (
        "uuid, uuid, uuid, uuid",
        include_str!("../sql/openai_batch_finish.sql"),
    ),
    (
        "uuid, uuid, text, text, bigint, uuid, float8",
        include_str!("../sql/file_finish.sql"),
    ),
    ("uuid, uuid", include_str!("../sql/file_delete.sql")),
    ("int", include_str!("../sql/files_expire.sql")),
    ("uuid", include_str!("../sql/session_nodes.sql")),
    ("uuid, uuid, int", include_str!("../sql/session_tree.sql")),
    (
        "uuid, uuid, bigint",
        include_str!("../sql/session_head.sql"),
    ),
    (
        "uuid, bigint, int",
        include_str!("../sql/session_events_after.sql"),
    ),
    (
        "uuid, uuid",
        include_str!("../sql/session_turns_cancel.sql"),
    ),
    (
        "uuid, uuid, int",
        include_str!("../sql/session_turns_delete.sql"),
    ),
    (
        "uuid, uuid, text, uuid, int",
        include_str!("../sql/session_create.sql"),
    ),
    (
        "float8, int",
        include_str!("../sql/session_events_prune.sql"),
    ),
];

#[tokio::test]
async fn hot_statements_only_use_indexes() {
    let store = postgres().await;
    for filled in [0, 3, 20_000] {
        // Three edits, vacuumed and analyzed: the statistics from which the planner expects the least of an index.
        if filled > 0 {
            store.edits_fill(3, filled).await.unwrap();
            waiting_turns(&store).await;
        }
        let mut conn = store.conn().await.unwrap();
        for (types, sql) in HOT {
            // Pruning may read a table of three rows.
            if filled == 3 && sql.contains("make_interval(secs => $1)") {
                continue;
            }
            let nulls =
                vec!["null"; types.split(',').filter(|kind| !kind.is_empty()).count()].join(", ");
            let (types, arguments) = if nulls.is_empty() {
                (String::new(), nulls)
            } else {
                (format!("({types})"), format!("({nulls})"))
            };
            let prepare = format!("prepare hot{types} as {sql}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(prepare))
                .execute(conn.get())
                .await
                .expect(sql);
            let explain = format!("explain execute hot{arguments}");
            let plan = sqlx::raw_sql(sqlx::AssertSqlSafe(explain))
                .fetch_all(conn.get())
                .await
                .unwrap();
            sqlx::raw_sql("deallocate hot")
                .execute(conn.get())
                .await
                .unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
            let plan = plan.join("\n");
            let tables = [
                "edits",
                "edit_events",
                "artifacts",
                "images",
                "tenants",
                "blob_deletions",
                "webhooks",
                "sweep_candidates",
                "sessions",
                "turns",
                "session_branches",
                "session_events",
                "catalogs",
                "catalog_rows",
            ];
            for table in tables {
                assert!(
                    !plan.contains(&format!("Seq Scan on {table}")),
                    "{sql}\n{plan}"
                );
            }
            // In the order of the table, in which no two statements would agree.
            assert!(!plan.contains("Bitmap"), "{sql}\n{plan}");
            // An endpoint's deliveries are found in its line, and not among those of all.
            assert!(!plan.contains("webhooks_due"), "{sql}\n{plan}");
            // What is named is found by its name: no index is read from end to end, but for the small ones of what is
            // alive. That holds on the empty table as well, whose plans are kept while it fills.
            let mut lines = plan.lines().peekable();
            while let Some(line) = lines.next() {
                let whole = [
                    "_pkey on",
                    "edits_tenant on",
                    "edits_image on",
                    "artifacts_pkey",
                ];
                // Of which there are few: one for each tenant of a model, one for each worker.
                let small = ["lines_pkey on", "workers_pkey on"]
                    .iter()
                    .any(|index| line.contains(index));
                if line.contains("Scan") && !small && whole.iter().any(|index| line.contains(index))
                {
                    let condition = lines.peek().copied().unwrap_or_default();
                    assert!(
                        condition.contains("Index Cond")
                            && !condition.contains("(kind = 'result'::text)"),
                        "{sql}\n{plan}"
                    );
                }
            }
        }
        conn.done();
    }
}

/// Turns that wait for parents which are queued, and the tables as vacuum knows them.
async fn waiting_turns(store: &Store) {
    let context = TestContext::new(store).await;
    let parents: Vec<Submission> = (0..200).map(|_| context.submission()).collect();
    let turns: Vec<Submission> = parents
        .iter()
        .map(|parent| context.turn(parent.id))
        .collect();
    store.edits_submit(&parents).await.unwrap();
    store.edits_submit(&turns).await.unwrap();
    context.release(20, 20).await;
    let mut conn = store.conn().await.unwrap();
    sqlx::raw_sql("vacuum (analyze) edits")
        .execute(conn.get())
        .await
        .unwrap();
    conn.done();
}

/// How many pages of indexes and tables a statement of the fleet may touch, however much is in the tables.
#[tokio::test]
async fn no_statement_of_the_steady_state_grows_with_the_queue() {
    let store = postgres().await;
    let full = bench::Full {
        tenants: 2000,
        queued: 20_000,
        ended: 2000,
        waiting: 1000,
    };
    store.tables_fill(full).await.unwrap();
    let place = "explain (analyze, buffers off, timing off, format json) ";
    let statements = [
        (
            "edits_release",
            "text, bigint, bigint",
            "null, 8, 16",
            include_str!("../sql/edits_release.sql"),
            2500,
        ),
        (
            "queue_counts",
            "",
            "",
            include_str!("../sql/queue_counts.sql"),
            12_000,
        ),
        (
            "turns_unblock",
            "int, uuid",
            "256, '00000000-0000-0000-0000-000000000000'",
            include_str!("../sql/turns_unblock.sql"),
            2000,
        ),
    ];
    let mut conn = store.conn().await.unwrap();
    for (name, types, arguments, sql, most) in statements {
        let (types, arguments) = match types.is_empty() {
            true => (String::new(), String::new()),
            false => (format!("({types})"), format!("({arguments})")),
        };
        let prepare = format!("prepare steady{types} as {sql}");
        let explain = format!("{place} execute steady{arguments}");
        sqlx::raw_sql("begin").execute(conn.get()).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(prepare))
            .execute(conn.get())
            .await
            .unwrap();
        let plan: serde_json::Value = sqlx::raw_sql(sqlx::AssertSqlSafe(explain))
            .fetch_one(conn.get())
            .await
            .unwrap()
            .get(0);
        sqlx::raw_sql("rollback; deallocate steady")
            .execute(conn.get())
            .await
            .unwrap();
        let rows = scanned(&plan[0]["Plan"]);
        assert!(rows <= most, "{name} reads {rows} rows\n{plan:#}");
    }
    conn.done();
}

/// With much announced at once, neither the tenants nor what is released is compared with all of it.
#[tokio::test]
async fn a_large_release_compares_nothing_each_with_each() {
    let store = postgres().await;
    let full = bench::Full {
        tenants: 50,
        queued: 2000,
        ended: 0,
        waiting: 0,
    };
    store.tables_fill(full).await.unwrap();
    assert_eq!(
        store.edits_release(None, 1000, 256).await.unwrap().len(),
        256
    );
    let mut conn = store.conn().await.unwrap();
    let prepare = concat!(
        "prepare large(text, bigint, bigint) as ",
        include_str!("../sql/edits_release.sql")
    );
    sqlx::raw_sql(release::BEGIN)
        .execute(conn.get())
        .await
        .unwrap();
    sqlx::raw_sql(prepare).execute(conn.get()).await.unwrap();
    let plan: serde_json::Value =
        sqlx::raw_sql("explain (analyze, timing off, format json) execute large(null, 1000, 256)")
            .fetch_one(conn.get())
            .await
            .unwrap()
            .get(0);
    sqlx::raw_sql("rollback; deallocate large")
        .execute(conn.get())
        .await
        .unwrap();
    let compared = joined(&plan[0]["Plan"]);
    let read = scanned(&plan[0]["Plan"]);
    assert!(compared <= 1000, "compares {compared} pairs\n{plan:#}");
    assert!(read <= 4000, "reads {read} rows\n{plan:#}");
    conn.done();
}

/// Pairs that the joins of a plan looked at in vain.
fn joined(plan: &serde_json::Value) -> u64 {
    let number = |name: &str| plan[name].as_f64().unwrap_or(0.0);
    let own = number("Rows Removed by Join Filter") * number("Actual Loops");
    let below = plan["Plans"].as_array().into_iter().flatten();
    own.round() as u64 + below.map(joined).sum::<u64>()
}

/// Rows that the scans of a plan's tables gave, and those that they passed over.
fn scanned(plan: &serde_json::Value) -> u64 {
    let number = |name: &str| plan[name].as_f64().unwrap_or(0.0);
    let of_table = plan["Relation Name"].is_string() && plan["Node Type"] != "ModifyTable";
    let rows = number("Actual Rows") + number("Rows Removed by Filter");
    let own = if of_table {
        rows * number("Actual Loops")
    } else {
        0.0
    };
    let below = plan["Plans"].as_array().into_iter().flatten();
    own.round() as u64 + below.map(scanned).sum::<u64>()
}
