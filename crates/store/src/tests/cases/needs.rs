use std::time::Duration;

use limekiln_jobs::{
    ArtifactKind, Class, EditId, EventKind, FailureClass, Needs, Spec, StateName, WorkerId,
};
use sqlx::Row;

use crate::tests::context::*;
use crate::*;

/// An edit of a newer gateway, with a field and a need that no program knows yet.
async fn of_the_future(context: &TestContext) -> EditId {
    let spec: Spec = serde_json::from_value(
        serde_json::json!({ "instruction": "make the sofa red", "upscale": 2 }),
    )
    .unwrap();
    let submission = Submission {
        spec,
        needs: Needs::from_iter(["preset.edit.sharpen"]),
        ..context.submission()
    };
    context.submit(submission).await
}

fn all() -> Needs {
    Needs::from_iter(["preset.edit.sharpen", "upscale", "something.else"])
}

pub(in crate::tests) async fn an_edit_waits_for_a_worker_that_can_do_it(store: &Store) {
    let context = TestContext::new(store).await;
    let edit = of_the_future(&context).await;
    let plain = context.edit().await;
    context.worker(4).await;
    // Workers of today: what needs nothing goes out, the other waits, and operators see it.
    assert_eq!(context.release(8, 8).await, [plain]);
    let count = async || {
        let counts = store.queue_counts().await.unwrap();
        let count = counts
            .into_iter()
            .find(|count| count.model == context.model);
        count.map(|count| {
            (
                count.queued,
                count.announced,
                count.unable,
                count.unable_needs.to_string(),
            )
        })
    };
    let needs = "preset.edit.sharpen, upscale".to_owned();
    assert_eq!(count().await, Some((1, 1, 1, needs)));
    // One of tomorrow comes.
    let able = context.able_worker(4, all()).await;
    assert_eq!(count().await, Some((1, 1, 0, String::new())));
    assert_eq!(context.release(8, 8).await, [edit]);
    // A worker that is told to end is none.
    assert_eq!(store.edits_unannounce(&[edit]).await.unwrap(), 1);
    store.worker_drain(Some(able), true).await.unwrap();
    assert_eq!(context.release(8, 8).await, []);
    store.worker_drain(Some(able), false).await.unwrap();
    assert_eq!(context.release(8, 8).await, [edit]);
    let workers = store.worker_list().await.unwrap();
    let listed = workers.iter().find(|worker| worker.id == able).unwrap();
    assert_eq!(listed.can, all());
}

pub(in crate::tests) async fn kinds_share_the_window_of_their_model(store: &Store) {
    let context = TestContext::new(store).await;
    let mut edits = Vec::new();
    for _ in 0..4 {
        edits.push(of_the_future(&context).await);
        edits.push(context.edit().await);
    }
    context.worker(1).await;
    context.able_worker(1, all()).await;
    // Four for both workers; two of them at most need the second.
    let released = context.release(1, 8).await;
    assert_eq!(released.len(), 4);
    let needy = released
        .iter()
        .filter(|edit| edits.iter().position(|e| e == *edit).unwrap() % 2 == 0);
    assert_eq!(needy.count(), 2);
    assert_eq!(context.release(1, 8).await, []);
}

pub(in crate::tests) async fn an_edit_whose_workers_are_gone_leaves_its_place_in_the_window(
    store: &Store,
) {
    let context = TestContext::new(store).await;
    context.worker(1).await;
    let able = context.able_worker(1, all()).await;
    let needy = of_the_future(&context).await;
    assert_eq!(context.release(1, 8).await, [needy]);
    let overdue = async |edit| {
        age(
            store,
            edit,
            "update edits set next_announce_at = now() where id = $1",
        )
        .await;
        let again = context.announce_again(1000).await;
        again.iter().any(|again| again.edit == edit)
    };
    assert!(overdue(needy).await);
    // The fleet is rolled back.
    store.worker_gone(able).await.unwrap();
    assert!(!overdue(needy).await);
    assert!(
        row(store, needy)
            .await
            .get::<Option<time::OffsetDateTime>, _>("announced_at")
            .is_none()
    );
    let plain = [context.edit().await, context.edit().await];
    assert_eq!(context.release(1, 8).await, plain);
    assert!(overdue(plain[0]).await);
    context.able_worker(1, all()).await;
    assert_eq!(context.release(1, 8).await, [needy]);
}

pub(in crate::tests) async fn an_edit_that_meets_an_unable_worker_goes_on_to_another(
    store: &Store,
) {
    let context = TestContext::new(store).await;
    let (today, tomorrow) = (context.worker(4).await, context.able_worker(4, all()).await);
    let edit = of_the_future(&context).await;
    assert_eq!(context.release(8, 8).await, [edit]);
    let claim = async |worker| {
        store
            .edits_claim(worker, &[edit], TTL)
            .await
            .unwrap()
            .remove(0)
    };
    // Others can't do it, so its message is for the cohort of those that can.
    let cohort: Option<String> = row(store, edit).await.get("cohort");
    assert_eq!(cohort, Some(all().cohort()));
    // The message came to the wrong one: it claims nothing, and the edit is in the line again at once.
    for unable in [today, WorkerId::new()] {
        assert_eq!(claim(unable).await, None);
        assert_eq!(store.edits_return(unable, &[edit]).await.unwrap(), 1);
        assert_eq!(context.release(8, 8).await, [edit]);
    }
    assert_eq!(store.edits_return(tomorrow, &[edit]).await.unwrap(), 0);
    // A program of before knows nothing of needs; the table does.
    let before = sqlx::query(
        "update edits set state = 'running', seq = seq + 1, epoch = epoch + 1, worker_id = $2, announced_at = null,
            next_announce_at = null, lease_expires_at = now() + interval '1 min', started_at = now() where id = $1",
    );
    let refused = store
        .count("test", before.bind(edit.uuid()).bind(today.uuid()))
        .await;
    assert!(refused.unwrap_err().to_string().contains("edits_able"));
    let claimed = claim(tomorrow).await.unwrap();
    assert_eq!((claimed.epoch.get(), claimed.attempts), (1, 0));
    assert_eq!(claimed.spec.rest["upscale"], 2);
    // A field whose need the gateway forgot: the worker names it, and nobody who lacks it gets the edit again.
    let more = Needs::from_iter(["preset.again"]);
    let passed = store
        .edits_pass_on(&[(edit, claimed.epoch, more)])
        .await
        .unwrap();
    assert_eq!(passed, [Write::Applied { seq: 3 }]);
    let needs: Vec<String> = row(store, edit).await.get("needs");
    assert_eq!(needs, ["preset.again", "preset.edit.sharpen", "upscale"]);
    assert_eq!(claim(tomorrow).await, None);
    assert_eq!(context.release(8, 8).await, []);
    let mut can = all();
    can.extend(["preset.again".to_owned()]);
    let after = context.able_worker(1, can).await;
    assert_eq!(context.release(8, 8).await, [edit]);
    assert_eq!(claim(after).await.unwrap().attempts, 0);
    assert!(
        context
            .complete(edit, limekiln_jobs::Epoch::new(2))
            .await
            .is_applied()
    );
}

/// Words that a newer version writes into these columns, after its migration has let them in.
pub(in crate::tests) async fn words_and_rows_of_the_future_spoil_no_other(store: &Store) {
    let context = TestContext::new(store).await;
    let hook = Some("https://example.com/hook".to_owned());
    let mut edits = Vec::new();
    for _ in 0..4 {
        let submission = Submission {
            webhook_url: hook.clone(),
            ..context.submission()
        };
        let edit = context.submit(submission).await;
        let epoch = context.claim(edit).await.epoch;
        assert!(context.complete(edit, epoch).await.is_applied());
        edits.push(edit);
    }
    let damaged = edits[2];
    let (failed, queued) = (context.edit().await, context.edit().await);
    // Nothing else may be left to a database that other cases use.
    let checks = [
        ("edits", "edits_state_check"),
        ("edits", "edits_class_check"),
        ("edits", "edits_ended"),
        ("edits", "edits_failed"),
        ("edit_events", "edit_events_kind_check"),
        ("artifacts", "artifacts_kind_check"),
    ];
    let execute = async |sql: String| {
        let statement = sqlx::query(sqlx::AssertSqlSafe(sql));
        store.count("test", statement).await.unwrap();
    };
    let mut definitions = Vec::new();
    for (table, check) in checks {
        let definition =
            sqlx::query("select pg_get_constraintdef(oid) from pg_constraint where conname = $1");
        let definition = store
            .row("test", definition.bind(check))
            .await
            .unwrap()
            .unwrap();
        definitions.push((table, check, definition.get::<String, _>(0)));
        execute(format!("alter table {table} drop constraint {check}")).await;
    }
    for (edit, set) in [
        (edits[0], "state = 'archived'"),
        (edits[1], "class = 'overnight'"),
        (damaged, "spec = '[]'"),
        (
            failed,
            r#"state = 'failed', finished_at = now(), error = '{"class": "budget", "code": "x", "message": "y"}'"#,
        ),
        (queued, "class = 'overnight'"),
    ] {
        execute(format!("update edits set {set} where id = '{edit}'")).await;
    }
    execute(format!(
        "update edit_events set kind = 'archived' where edit_id = '{}' and seq = 3",
        edits[0]
    ))
    .await;
    execute(format!(
        "update artifacts set kind = 'depth' where edit_id = '{}'",
        edits[1]
    ))
    .await;

    let page = store
        .edits_list(context.tenant, &Filter::default(), None, 100)
        .await
        .unwrap();
    let seen = |edit: EditId| page.edits.iter().find(|view| view.id == edit);
    assert_eq!(page.edits.len(), 5, "all but the damaged one");
    assert_eq!(seen(edits[0]).unwrap().state.as_str(), "archived");
    assert_eq!(seen(edits[1]).unwrap().class.as_str(), "overnight");
    assert_eq!(
        seen(edits[1]).unwrap().artifacts[0].kind,
        ArtifactKind::of("depth")
    );
    assert_eq!(
        seen(failed).unwrap().error.as_ref().unwrap().class,
        FailureClass::of("budget")
    );
    assert!(seen(damaged).is_none() && seen(edits[3]).is_some());
    assert!(store.edit_get(context.tenant, damaged).await.is_err());
    let events = store.events_after(edits[0], 0, 10).await.unwrap();
    assert_eq!(events[2].kind, EventKind::of("archived"));
    // Pages end where their rows do, whatever can be read of them.
    let mut after = None;
    let mut pages = 0;
    while pages == 0 || after.is_some() {
        after = store
            .edits_list(context.tenant, &Filter::default(), after, 1)
            .await
            .unwrap()
            .next;
        pages += 1;
    }
    assert_eq!(pages, 6);
    // The batch of webhooks is delivered but for the one that can't be written.
    let mut due = store.webhooks_due(None, 1000, 1000).await.unwrap();
    due.retain(|(endpoint, due)| endpoint.tenant == context.tenant && *due > 0);
    let claimed = store.webhooks_claim(&due, Duration::from_secs(60));
    assert_eq!(claimed.await.unwrap().len(), 3);
    // A class of the future waits behind the interactive ones, and can be claimed.
    let interactive = context.edit().await;
    assert_eq!(context.release(8, 8).await, [interactive, queued]);
    assert_eq!(context.claim(queued).await.class, Class::of("overnight"));

    // A row that can't be read fails alone, with its lease, and not the claim.
    let (broken, well) = (context.edit().await, context.edit().await);
    execute(format!(
        "update edits set spec = '[]' where id = '{broken}'"
    ))
    .await;
    let claimed = store
        .edits_claim(context.worker, &[broken, well], TTL)
        .await
        .unwrap();
    assert!(claimed[0].is_none() && claimed[1].is_some());
    let row = row(store, broken).await;
    assert_eq!(
        (row.get::<&str, _>("state"), row.get::<i16, _>("attempts")),
        ("waiting", 1)
    );

    for (edit, set) in [
        (edits[0], "state = 'succeeded'"),
        (edits[1], "class = 'bulk'"),
        (queued, "class = 'bulk'"),
    ] {
        execute(format!("update edits set {set} where id = '{edit}'")).await;
    }
    execute("update edit_events set kind = 'succeeded' where kind = 'archived'".to_owned()).await;
    execute(format!(
        "update artifacts set kind = 'result' where edit_id = '{}'",
        edits[1]
    ))
    .await;
    for (table, check, definition) in definitions {
        execute(format!(
            "alter table {table} add constraint {check} {definition}"
        ))
        .await;
    }
    assert_eq!(context.state(edits[0]).await, StateName::Succeeded);
}
