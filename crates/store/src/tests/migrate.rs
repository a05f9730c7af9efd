//! Migrations while somebody uses the tables, on real Postgres.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use limekiln_testbed::{Postgres, until};
use sqlx::migrate::{Migration, MigrationType};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _, SqlSafeStr as _};
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::context::*;
use crate::migrate::OUTSIDE;
use crate::*;

fn migration(version: i64, sql: &'static str) -> Migration {
    let outside = sql.starts_with(OUTSIDE);
    Migration::new(
        version,
        "test".into(),
        MigrationType::Simple,
        sql.into_sql_str(),
        outside,
    )
}

async fn apply(store: &Store, migrations: &[Migration], patience: Duration) -> Result<()> {
    let mut conn = store.conn().await?;
    store.apply_all(&mut conn, migrations, patience).await
}

/// A transaction that somebody forgot, with a lock that every write of the table gets along with, and no migration does.
async fn forgotten(url: &str) -> PgConnection {
    let mut blocker = PgConnection::connect(url).await.unwrap();
    blocker
        .execute("set application_name = 'a forgotten psql'")
        .await
        .unwrap();
    blocker
        .execute("begin; lock table edits in row exclusive mode")
        .await
        .unwrap();
    blocker
}

/// Keeps the warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
            && metadata.target().starts_with("limekiln_store::migrate")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        self.0.lock().unwrap().push(words.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

async fn store_at(url: &str) -> Store {
    let store = Store::connect(&Settings::new(url)).await.unwrap();
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn a_migration_lets_others_go_on_while_it_waits_and_says_for_whom() {
    let url = Postgres::shared().database().await;
    let store = store_at(&url).await;
    let context = TestContext::new(&store).await;
    let warnings = Warnings::default();
    let _second = tracing::Dispatch::new(warnings.clone());
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let mut blocker = forgotten(&url).await;
    let column = [migration(
        900,
        "alter table edits add column later integer;",
    )];
    let migrating = apply(&store, &column, Duration::from_secs(60));
    let fleet = async {
        until("a word about it", Duration::from_secs(20), async || {
            !warnings.0.lock().unwrap().is_empty()
        })
        .await;
        // Whoever comes now waits behind the migration, but not for long.
        let began = Instant::now();
        context.done().await;
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{:?}",
            began.elapsed()
        );
        blocker.execute("rollback").await.unwrap();
    };
    let (migrated, ()) = tokio::join!(migrating, fleet);
    migrated.unwrap();
    assert_eq!(number(&store, "select count(later) from edits").await, 0);
    let said = warnings.0.lock().unwrap().clone();
    assert_eq!(said.len(), 1, "{said:?}");
    for part in [
        "a forgotten psql",
        "postgres",
        "idle in transaction",
        "lock table edits",
        "0900_test",
    ] {
        assert!(said[0].contains(part), "{part} is not in {said:?}");
    }
}

#[tokio::test]
async fn a_migration_gives_up_and_names_who_is_in_its_way() {
    let url = Postgres::shared().database().await;
    let store = store_at(&url).await;
    let _blocker = forgotten(&url).await;
    let column = [migration(
        900,
        "alter table edits add column later integer;",
    )];
    let error = apply(&store, &column, Duration::from_secs(1))
        .await
        .unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("a forgotten psql") && said.contains("limekiln migrate"),
        "{said}"
    );
    // Nothing is left of it, and nobody is kept out.
    let lost = store
        .row("test", sqlx::query("select later from edits"))
        .await;
    assert!(lost.is_err());
    store.migrate().await.unwrap();
}

/// A later word in a list, and an index, on a table in use.
#[tokio::test]
async fn words_and_indexes_join_while_the_fleet_writes() {
    let url = Postgres::shared().database().await;
    let store = store_at(&url).await;
    let context = TestContext::new(&store).await;
    // What a `create index concurrently` leaves that was killed.
    let mut unfinished = PgConnection::connect(&url).await.unwrap();
    unfinished
        .execute("create index edits_later on edits (seq)")
        .await
        .unwrap();
    let invalid =
        "update pg_index set indisvalid = false where indexrelid = 'edits_later'::regclass";
    unfinished.execute(invalid).await.unwrap();
    let steps = [migration(
        900,
        "-- outside a transaction
create index concurrently if not exists edits_later on edits (created_at);
-- step
alter table edits
    drop constraint if exists edits_class_check,
    add constraint edits_class_check check (class in ('interactive', 'bulk', 'overnight')) not valid;
-- step
alter table edits validate constraint edits_class_check;
",
    )];
    let done = std::sync::atomic::AtomicBool::new(false);
    let migrating = async {
        apply(&store, &steps, Duration::from_secs(60))
            .await
            .unwrap();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let fleet = async {
        let mut edits = 0;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            context.done().await;
            edits += 1;
        }
        edits
    };
    let ((), edits) = tokio::join!(migrating, fleet);
    assert!(edits > 0);
    let valid = "select count(*) from pg_index i where i.indexrelid = 'edits_later'::regclass and i.indisvalid
        and pg_get_indexdef(i.indexrelid) like '%(created_at)'";
    assert_eq!(number(&store, valid).await, 1);
    let edit = context.edit().await;
    age(
        &store,
        edit,
        "update edits set class = 'overnight' where id = $1",
    )
    .await;
    // Done once.
    apply(&store, &steps, Duration::from_secs(60))
        .await
        .unwrap();
}
