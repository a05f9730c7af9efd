//! `limekiln bench tables`.

use anyhow::Result;
use limekiln_bench::tables::{self, Row, Settings};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::args::TablesArgs;
use crate::output::print;
use crate::settings::Usage;

/// Measures and prints.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(args: &TablesArgs, shutdown: CancellationToken) -> Result<()> {
    let url = args.database.database.as_deref().ok_or_else(|| {
        Usage("which Postgres is measured? give --database or DATABASE_URL".to_owned())
    })?;
    let settings = Settings {
        database: url.to_owned(),
        name: format!("bench-{}", &Uuid::now_v7().simple().to_string()[20..]),
        connections: args.database.database_connections,
        queued: args.queued,
        ended: args.ended,
        tenants: args.tenants,
        waiting: args.waiting,
        repeat: args.repeat,
    };
    if args.json {
        let rows = tables::run(&settings, shutdown, |_| {}).await?;
        print(&serde_json::to_string_pretty(&rows)?);
    } else {
        print("statement             rows    p50 ms    max ms");
        tables::run(&settings, shutdown, |row| print(&line(row))).await?;
    }
    Ok(())
}

fn line(row: &Row) -> String {
    format!(
        "{:18}  {:>6}  {:>8.2}  {:>8.2}",
        row.statement, row.rows, row.p50_ms, row.max_ms
    )
}
