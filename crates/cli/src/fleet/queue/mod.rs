//! `limekiln bench queue`: how many edits a second pass, and how soon one starts.
//!
//! # Layout
//!
//! - `bench`: a database, queues and keys of its own, and the processes on them
//! - `run`: one run: all edits at once, then a stream of them at half that rate

mod bench;
mod run;

use anyhow::Result;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::args::QueueArgs;
use crate::output::print;
use bench::Bench;
use run::Figures;

/// What was measured.
#[derive(Debug, Serialize)]
struct Row {
    /// Finished edits in the tables before the run.
    filled: u32,
    /// Whether inputs were read from S3 and results written to it.
    blobs: bool,
    #[serde(flatten)]
    figures: Figures,
}

/// Measures and prints.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(args: &QueueArgs, shutdown: CancellationToken) -> Result<()> {
    let bench = Bench::new(args).await?;
    let outcome = tokio::select! {
        rows = rows(args, &bench) => rows,
        () = shutdown.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    bench.remove().await?;
    let rows = outcome?;
    if args.json {
        print(&serde_json::to_string_pretty(&rows)?);
    }
    Ok(())
}

async fn rows(args: &QueueArgs, bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if !args.json {
        print("    filled  blobs      edits  edits/s  half load/s  start p50 ms  start p99 ms");
    }
    for filled in [0, args.filled] {
        if filled > 0 {
            bench.fill(filled).await?;
        } else if !rows.is_empty() {
            continue;
        }
        for blobs in [false, true] {
            if blobs && args.no_blobs {
                continue;
            }
            let row = Row {
                filled,
                blobs,
                figures: run::run(args, bench, blobs).await?,
            };
            if !args.json {
                print(&row.line());
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

impl Row {
    fn line(&self) -> String {
        let Figures {
            edits,
            per_second,
            half_load,
            start_p50_ms,
            start_p99_ms,
        } = self.figures;
        format!(
            "{:>10}  {:5}  {edits:>9}  {per_second:>7.0}  {half_load:>11.0}  {start_p50_ms:>12.1}  {start_p99_ms:>12.1}",
            self.filled,
            if self.blobs { "yes" } else { "no" },
        )
    }
}
