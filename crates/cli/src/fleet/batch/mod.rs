//! `limekiln batch`: whole catalogs through a gateway.
//!
//! `manifest` reads rows, `decode` their encodings, `product` makes of them what is sent, `submit` sends it but for pictures that were `uploaded` before, `results` fetches what came
//! of it and not `had` before, `sheet` shows it on one `page`, or on `pages` of PNG. `estimate` says what a catalog would take.

mod decode;
mod estimate;
mod had;
mod lines;
mod manifest;
mod page;
mod pages;
mod product;
mod results;
mod sheet;
mod submit;
mod uploaded;

use std::time::Duration;

use anyhow::{Result, bail};
use limekiln_jobs::BatchId;
use limekiln_jobs::api::{CatalogView, RowsChanged};
use limekiln_jobs::catalog::CatalogState;

use super::client::Client;
use crate::args::{Batch, BatchOneArgs};
use crate::output::print;
use crate::progress::Progress;

/// How often a catalog is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// `limekiln batch`.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(command: &Batch) -> Result<()> {
    match command {
        Batch::Submit(args) => submit::run(args).await,
        Batch::Status(args) => {
            let client = client(&args.one)?;
            let view = if args.follow {
                follow(&client, args.one.catalog).await?
            } else {
                get(&client, args.one.catalog).await?
            };
            say(&view, args.one.json)
        }
        Batch::Pause(args) => control(args, "pause").await,
        Batch::Resume(args) => control(args, "resume").await,
        Batch::Cancel(args) => control(args, "cancel").await,
        Batch::RetryFailed(args) => {
            let path = format!("/v1/catalogs/{}/retry-failed", args.catalog);
            let changed: RowsChanged = client(args)?.post(&path).await?;
            if args.json {
                print(&serde_json::to_string(&changed)?);
            } else {
                print(&format!("{} rows wait for their turn again", changed.rows));
            }
            Ok(())
        }
        Batch::Results(args) => results::run(args).await,
        Batch::Sheet(args) => sheet::run(args).await,
    }
}

fn client(args: &BatchOneArgs) -> Result<Client> {
    Client::new(&args.gateway.url, &args.gateway.key)
}

async fn control(args: &BatchOneArgs, what: &str) -> Result<()> {
    let path = format!("/v1/catalogs/{}/{what}", args.catalog);
    let view: CatalogView = client(args)?.post(&path).await?;
    say(&view, args.json)
}

async fn get(client: &Client, catalog: BatchId) -> Result<CatalogView> {
    client.get(&format!("/v1/catalogs/{catalog}")).await
}

/// Shows how far a catalog is until it ended.
async fn follow(client: &Client, catalog: BatchId) -> Result<CatalogView> {
    let bar = Progress::new("");
    loop {
        let view = get(client, catalog).await?;
        let over = matches!(view.state, CatalogState::Ended | CatalogState::Cancelled);
        let done = view.rows - view.waiting - view.live;
        if view.rows > 0 {
            bar.count("rows", done as usize, view.rows as usize);
        }
        if over {
            bar.finish();
            return Ok(view);
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = tokio::signal::ctrl_c() => {
                bar.finish();
                bail!("catalog {catalog} goes on; `limekiln batch status {catalog} --follow` tells how far it is")
            }
        }
    }
}

/// Prints how far a catalog is.
fn say(view: &CatalogView, json: bool) -> Result<()> {
    if json {
        print(&serde_json::to_string(view)?);
        return Ok(());
    }
    let mut line = format!(
        "{} {}: {} rows, {} passed, {} in review, {} failed, {} under way, {} waiting",
        view.id,
        view.state,
        view.rows,
        view.passed,
        view.review,
        view.failed,
        view.live,
        view.waiting
    );
    for (count, what) in [(view.rejected, "rejected"), (view.cancelled, "cancelled")] {
        if count > 0 {
            line += &format!(", {count} {what}");
        }
    }
    if let Some(rate) = view.rate_per_hour {
        line += &format!("; {rate:.0} rows an hour");
    }
    if let Some(left) = view.left_s.filter(|left| *left >= 1.0) {
        let left = Duration::from_secs(left as u64);
        line += &format!(", {} left", humantime::format_duration(left));
    }
    print(&line);
    Ok(())
}
