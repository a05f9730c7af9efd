//! PgBouncer between the program and Postgres.

use limekiln_testbed::Postgres;
use limekiln_testbed::pgbouncer::PgBouncer;

use super::context::TestContext;
use crate::*;

/// A fresh database of the shared Postgres: its name.
async fn database() -> String {
    let url = Postgres::shared().database().await;
    url.rsplit('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn session_mode_works_as_installed() {
    let pooler = PgBouncer::start(Postgres::shared(), "session");
    let settings = Settings::new(pooler.url(&database().await));
    let store = Store::connect(&settings).await.unwrap();
    store.migrate().await.unwrap();
    let context = TestContext::new(&store).await;
    let edit = context.done().await;
    assert!(
        store
            .edit_get(context.tenant, edit)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn transaction_mode_is_refused_in_one_line_that_says_what_to_do() {
    let database = database().await;
    // The second time others of its sessions are free.
    for mode in ["transaction", "transaction", "statement"] {
        let pooler = PgBouncer::start(Postgres::shared(), mode);
        let settings = Settings::new(pooler.url(&database));
        let line = Store::connect(&settings).await.unwrap_err().to_string();
        assert!(
            line.contains("pool_mode = session") && !line.contains('\n'),
            "{line}"
        );
    }
}
