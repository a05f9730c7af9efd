//! The embedded Postgres: the suite, and what it does when its process is killed.

use std::process::Stdio;
use std::time::Duration;

use limekiln_jobs::{EditId, StateName, TenantId};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::context::*;
use crate::*;

async fn start(dir: &std::path::Path) -> (Embedded, Store) {
    let dir = dir.to_owned();
    let embedded = tokio::task::spawn_blocking(move || Embedded::start(&dir))
        .await
        .unwrap()
        .unwrap();
    let store = Store::connect(&embedded.settings()).await.unwrap();
    store.migrate().await.unwrap();
    (embedded, store)
}

async fn stop(embedded: Embedded, store: Store) {
    store.close().await;
    tokio::task::spawn_blocking(move || embedded.shutdown())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (embedded, store) = start(dir.path()).await;
    super::every_case(&store).await;
    let server = store.server().await.unwrap();
    assert_eq!(server.schema, server.schema_needed);
    let tenants = store.tenant_list().await.unwrap();
    stop(embedded, store).await;
    let (embedded, store) = start(dir.path()).await;
    assert_eq!(store.tenant_list().await.unwrap(), tenants);
    stop(embedded, store).await;
}

/// Requests are dropped whenever their clients go away, in the middle of whatever they do.
#[tokio::test(flavor = "multi_thread")]
async fn callers_that_go_away_break_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (embedded, store) = start(dir.path()).await;
    let context = TestContext::new(&store).await;
    let edit = context.done().await;
    for microseconds in (0..4000).step_by(40) {
        let submissions: Vec<_> = (0..20).map(|_| context.submission()).collect();
        let submit = store.edits_submit(&submissions);
        let gone = tokio::time::timeout(Duration::from_micros(microseconds), submit).await;
        assert_eq!(context.state(edit).await, StateName::Succeeded);
        let written = submissions.last().unwrap().id;
        let written = store
            .edit_get(context.tenant, written)
            .await
            .unwrap()
            .is_some();
        assert!(written || gone.is_err(), "an answer without its row");
    }
    let leaks = "select count(*) from tenants t
        where t.in_flight <> (select count(*) from edits e where e.tenant_id = t.id and e.finished_at is null)";
    assert_eq!(number(&store, leaks).await, 0);
    stop(embedded, store).await;
}

/// Breaks the one connection off as a client does that does not read its answer, whose patience ended say: it is reset.
async fn break_off(embedded: &Embedded) {
    let address = embedded.url().split(['@', '/']).nth(3).unwrap();
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    // What a client that could speak TLS begins with: eight bytes, answered by one.
    client
        .write_all(&[0, 0, 0, 8, 4, 210, 22, 47])
        .await
        .unwrap();
    client.peek(&mut [0]).await.unwrap();
}

/// Waits until it finds the edit. Who connects in the very moment in which it ends is sent away.
async fn answers(embedded: &Embedded, context: &TestContext, edit: EditId) {
    limekiln_testbed::until("it to answer again", Duration::from_secs(60), async || {
        let Ok(store) = Store::connect(&embedded.settings()).await else {
            return false;
        };
        let found = store.edit_get(context.tenant, edit).await;
        store.close().await;
        matches!(found, Ok(Some(_)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_off_does_not_end_it() {
    let dir = tempfile::tempdir().unwrap();
    let (embedded, store) = start(dir.path()).await;
    let context = TestContext::new(&store).await;
    let edit = context.edit().await;
    store.close().await;
    for _ in 0..2 {
        break_off(&embedded).await;
        answers(&embedded, &context, edit).await;
    }
    tokio::task::spawn_blocking(move || embedded.shutdown())
        .await
        .unwrap()
        .unwrap();
}

/// What keeps it from starting again, a full disk say, may pass.
#[tokio::test(flavor = "multi_thread")]
async fn it_starts_again_once_what_was_in_its_way_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (embedded, store) = start(&data).await;
    let context = TestContext::new(&store).await;
    let edit = context.edit().await;
    store.close().await;
    let aside = dir.path().join("aside");
    std::fs::rename(&data, &aside).unwrap();
    std::fs::write(&data, "in the way").unwrap();
    break_off(&embedded).await;
    let settings = Settings {
        acquire_timeout: Duration::from_secs(2),
        ..embedded.settings()
    };
    Store::connect(&settings).await.unwrap_err();
    std::fs::remove_file(&data).unwrap();
    std::fs::rename(&aside, &data).unwrap();
    answers(&embedded, &context, edit).await;
    tokio::task::spawn_blocking(move || embedded.shutdown())
        .await
        .unwrap()
        .unwrap();
}

const WRITER: &str = "LIMEKILN_STORE_WRITER";

/// Writes until it is killed, and says what was acknowledged.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other half of acknowledged_writes_survive_kill_9, which starts it"]
async fn writer() {
    let dir = std::env::var(WRITER).unwrap();
    let (_embedded, store) = start(dir.as_ref()).await;
    let context = TestContext::new(&store).await;
    println!("\ntenant {}", context.tenant);
    loop {
        println!("wrote {}", context.done().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let mut writer = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "tests::embedded::writer",
                "--ignored",
                "--nocapture",
            ])
            .env(WRITER, dir.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut tenant: Option<TenantId> = None;
        let mut wrote: Vec<EditId> = Vec::new();
        let reading = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(id) = line.strip_prefix("tenant ") {
                    tenant = Some(id.parse().unwrap());
                } else if let Some(id) = line.strip_prefix("wrote ") {
                    wrote.push(id.parse().unwrap());
                }
                if wrote.len() == 20 * round {
                    // In the middle of the next one.
                    writer.start_kill().unwrap();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(120), reading)
            .await
            .unwrap();
        writer.wait().await.unwrap();
        assert!(
            wrote.len() >= 20 * round,
            "the writer ended early: {}",
            wrote.len()
        );
        let tenant = tenant.unwrap();
        let (embedded, store) = start(dir.path()).await;
        for edit in &wrote {
            let view = store
                .edit_get(tenant, *edit)
                .await
                .unwrap()
                .expect("an acknowledged edit");
            assert_eq!((view.state, view.seq), (StateName::Succeeded, 3));
        }
        let gaps = "select count(*) from edits e
            where e.seq <> (select count(*) from edit_events v where v.edit_id = e.id and v.seq <= e.seq)";
        assert_eq!(number(&store, gaps).await, 0);
        let leaks = "select count(*) from tenants t
            where t.in_flight <> (select count(*) from edits e where e.tenant_id = t.id and e.finished_at is null)";
        assert_eq!(number(&store, leaks).await, 0);
        stop(embedded, store).await;
    }
}
