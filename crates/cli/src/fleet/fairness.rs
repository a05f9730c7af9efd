//! `limekiln bench fairness`.

use anyhow::Result;
use limekiln_bench::fairness::{self, Row, Settings};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::args::FairnessArgs;
use crate::fleet::services;
use crate::output::print;

/// Measures and prints.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(args: &FairnessArgs, shutdown: CancellationToken) -> Result<()> {
    let services = services::measured(&args.services).await?;
    let seed = args
        .seed
        .unwrap_or_else(|| Uuid::now_v7().as_u64_pair().1 >> 40);
    let settings = Settings {
        seed,
        workers: args.workers,
        tenants: args.tenants,
        faster: args.faster,
        seconds: args.seconds,
    };
    if args.json {
        let rows = fairness::run(&settings, services, shutdown, |_| {}).await?;
        let figures = json!({ "seed": seed, "rows": rows });
        print(&serde_json::to_string_pretty(&figures)?);
    } else {
        print(&format!("seed {seed}"));
        print("fleet  class        edits  start p50 ms  start p99 ms  start max ms");
        fairness::run(&settings, services, shutdown, |row| print(&line(row))).await?;
    }
    Ok(())
}

fn line(row: &Row) -> String {
    let waits = row.waits;
    format!(
        "{:5}  {:11}  {:>5}  {:>12.1}  {:>12.1}  {:>12.1}",
        row.fleet,
        waits.class.to_string(),
        waits.edits,
        waits.p50_ms,
        waits.p99_ms,
        waits.max_ms
    )
}
