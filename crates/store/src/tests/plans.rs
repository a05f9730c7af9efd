//! No hot statement reads a table, whatever the statistics say: right after a bulk load, on an empty table, on a tiny one.

use sqlx::Row;

use super::context::*;

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
        "uuid[], int[], text[], int[], int[]",
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
        "uuid[], int[], bool[], jsonb[], float8[], float8[], float8[], float8[], int2[], int",
        include_str!("../sql/edits_fail.sql"),
    ),
    ("uuid[], int[]", include_str!("../sql/edits_hand_back.sql")),
    (
        "text, bigint, bigint",
        include_str!("../sql/edits_release.sql"),
    ),
    ("int", include_str!("../sql/edits_announce_again.sql")),
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
    ("int", include_str!("../sql/turns_unblock.sql")),
    ("uuid, uuid", include_str!("../sql/edit_cancel.sql")),
    ("uuid", include_str!("../sql/edit_retry.sql")),
    (
        "uuid[], uuid[], uuid[], uuid[], uuid[], text[], uuid[]",
        include_str!("../sql/submit_look.sql"),
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
    ("uuid, uuid", include_str!("../sql/image_delete.sql")),
    ("uuid, int", include_str!("../sql/tenant_edits_cancel.sql")),
    ("uuid, int", include_str!("../sql/tenant_edits_delete.sql")),
    ("uuid, int", include_str!("../sql/tenant_images_delete.sql")),
    (
        "text[], bigint[], bigint, float8",
        include_str!("../sql/sweep_mark.sql"),
    ),
    ("float8, int", include_str!("../sql/events_prune.sql")),
    ("float8, int", include_str!("../sql/edits_prune.sql")),
    ("float8, int", include_str!("../sql/images_expire.sql")),
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
];

#[tokio::test]
async fn hot_statements_only_use_indexes() {
    let store = postgres().await;
    for filled in [0, 3, 20_000] {
        // Three edits, vacuumed and analyzed: the statistics from which the planner expects the least of an index.
        if filled > 0 {
            store.edits_fill(3, filled).await.unwrap();
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
                if line.contains("Scan") && whole.iter().any(|index| line.contains(index)) {
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
