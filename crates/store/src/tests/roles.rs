//! What each component may do with the tables; that it is enough, the suites of the components show, which run in their roles.

use limekiln_testbed::Postgres;
use sqlx::Row as _;

use super::context::*;
use crate::roles::GRANTS;
use crate::*;

/// The store in a component's role, and who made the tables.
async fn granted(prefix: &str) -> (Store, Roles) {
    let owner = postgres().await;
    let roles = owner.roles_grant(Some(prefix)).await.unwrap().unwrap();
    (owner, roles)
}

fn unique(prefix: &str) -> String {
    format!("{prefix}_{}", limekiln_jobs::KeyId::new().uuid().simple())
}

async fn as_role(owner: &Store, role: &str) -> Store {
    let login = format!("alter role {role} login");
    let login = sqlx::query(sqlx::AssertSqlSafe(login));
    owner.count("test", login).await.unwrap();
    let name = sqlx::query("select current_database()::text");
    let name: String = owner.row("test", name).await.unwrap().unwrap().get(0);
    let url = Postgres::shared().url(&name);
    let url = url.replacen("//postgres@", &format!("//{role}@"), 1);
    Store::connect(&Settings::new(url)).await.unwrap()
}

async fn may(store: &Store, sql: &'static str) -> bool {
    match store.rows("test", sqlx::query(sql)).await {
        Ok(_) => true,
        Err(Error::Database(sqlx::Error::Database(error)))
            if error.code().as_deref() == Some("42501") =>
        {
            false
        }
        Err(error) => panic!("{sql}: {error}"),
    }
}

#[tokio::test]
async fn a_worker_reads_no_keys_and_no_secrets_and_only_the_owner_changes_tables() {
    let prefix = unique("a");
    let (owner, roles) = granted(&prefix).await;
    assert_eq!(roles.names.len(), 3);
    assert_eq!(
        roles.advice.len(),
        3,
        "nobody can log in: {:?}",
        roles.advice
    );
    let context = TestContext::new(&owner).await;
    owner
        .key_create(context.tenant, limekiln_jobs::api::Role::Admin, "")
        .await
        .unwrap();
    for component in Component::ALL {
        let store = as_role(&owner, &component.role(&prefix)).await;
        store.schema_check().await.unwrap();
        let server = store.server().await.unwrap();
        assert!(!server.may_migrate, "{component:?}");
        let may = async |sql| may(&store, sql).await;
        assert!(may("select * from edits").await, "{component:?}");
        for ddl in [
            "create table mine ()",
            "alter table edits add column mine text",
            "drop table edits",
            "create function mine() returns int language sql as 'select 1'",
            "truncate edits",
            "insert into api_keys select * from api_keys",
            "update api_keys set role = 'admin'",
            "delete from api_keys",
        ] {
            assert!(!may(ddl).await, "{component:?}: {ddl}");
        }
        let reads = (
            may("select hash from api_keys").await,
            may("select webhook_secret from tenants").await,
            may("select * from blob_deletions").await,
        );
        let expected = match component {
            Component::Gateway => (true, true, true),
            Component::Coordinator => (false, true, true),
            Component::Worker => (false, false, false),
        };
        assert_eq!(reads, expected, "{component:?}");
    }
    // A worker's own part of an edit, and the triggers that it sets off.
    let worker = as_role(&owner, &Component::Worker.role(&prefix)).await;
    let edit = context
        .submit(Submission {
            webhook_url: Some("https://example.com/hook".to_owned()),
            ..context.submission()
        })
        .await;
    let own = TestContext {
        store: worker,
        ..context.clone()
    };
    let epoch = own.claim(edit).await.epoch;
    assert!(own.complete(edit, epoch).await.is_applied());
    assert_eq!(context.in_flight().await, 0);
    let hooks = "select count(*) from webhooks";
    assert_eq!(number(&owner, hooks).await, 1);
}

#[tokio::test]
async fn migrations_know_the_roles_that_were_given_once() {
    let owner = postgres().await;
    assert_eq!(owner.roles_grant(None).await.unwrap(), None);
    let prefix = unique("b");
    owner.roles_grant(Some(&prefix)).await.unwrap();
    let role = Component::Worker.role(&prefix);
    let worker = as_role(&owner, &role).await;
    let revoke = format!("revoke all on edits from {role}; grant select on api_keys to {role}");
    let name = sqlx::query("select current_database()::text");
    let name: String = owner.row("test", name).await.unwrap().unwrap().get(0);
    Postgres::shared().execute(&name, &revoke).await;
    assert!(!may(&worker, "select * from edits").await);
    owner.migrate().await.unwrap();
    let again = owner.roles_grant(None).await.unwrap().unwrap();
    assert!(again.names.contains(&role));
    assert!(may(&worker, "select * from edits").await);
    assert!(!may(&worker, "select * from api_keys").await);
    // Who may make no roles says what to do.
    let refused = worker.roles_grant(Some("other")).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn every_table_says_who_may_what() {
    let owner = postgres().await;
    // Parts of a table are reached through it.
    let tables = "select c.relname::text from pg_class c
        where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        order by 1";
    let rows = owner.rows("test", sqlx::query(tables)).await.unwrap();
    let there: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut said: Vec<&str> = GRANTS.iter().map(|(table, _)| *table).collect();
    said.sort_unstable();
    assert_eq!(there, said);
}
