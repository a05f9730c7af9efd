//! `limekiln bench queue`.

use anyhow::Result;
use limekiln_bench::queue::{self, Figures, Row, Settings};
use tokio_util::sync::CancellationToken;

use crate::args::QueueArgs;
use crate::fleet::services;
use crate::output::print;

/// Measures and prints.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(args: &QueueArgs, shutdown: CancellationToken) -> Result<()> {
    let services = services::measured(&args.services).await?;
    let settings = Settings {
        edits: args.edits,
        tenants: args.tenants,
        slots: args.slots,
        filled: args.filled,
        blobs: !args.no_blobs,
    };
    if args.json {
        let rows = queue::run(&settings, services, shutdown, |_| {}).await?;
        print(&serde_json::to_string_pretty(&rows)?);
    } else {
        print("    filled  blobs      edits  edits/s  half load/s  start p50 ms  start p99 ms");
        queue::run(&settings, services, shutdown, |row| print(&line(row))).await?;
    }
    Ok(())
}

fn line(row: &Row) -> String {
    let Figures {
        edits,
        per_second,
        half_load,
        start_p50_ms,
        start_p99_ms,
    } = row.figures;
    format!(
        "{:>10}  {:5}  {edits:>9}  {per_second:>7.0}  {half_load:>11.0}  {start_p50_ms:>12.1}  {start_p99_ms:>12.1}",
        row.filled,
        if row.blobs { "yes" } else { "no" },
    )
}
