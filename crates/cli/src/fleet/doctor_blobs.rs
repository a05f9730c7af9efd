//! `limekiln doctor --blobs`: rows without blobs, and blobs without rows. Reads only.

use anyhow::{Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use limekiln_blobs::{Blobs, Key, Prefix};
use limekiln_store::{BlobRow, BlobTable, Store};
use serde::Serialize;

use super::services;
use crate::args::DoctorArgs;
use crate::output::print;

/// The most of each kind that are listed; the others are counted.
const LISTED: usize = 100;
/// Rows, or blobs, of one page.
const PAGE: u16 = 1000;
/// Blobs looked up at once.
const AT_ONCE: usize = 32;

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    bucket: String,
    /// Rows that refer to a blob.
    rows: u64,
    rows_without_blob: Lacking,
    /// How many blobs of tenants lie in the bucket.
    blobs: u64,
    blobs_without_row: Lacking,
}

/// Those that lack the other.
#[derive(Debug, Default, Serialize)]
struct Lacking {
    count: u64,
    first: Vec<Entry>,
}

impl Lacking {
    fn add(&mut self, entry: Entry) {
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(entry);
        }
    }
}

#[derive(Debug, Serialize)]
struct Entry {
    key: String,
    /// Which row it is; when the blob was written.
    what: String,
}

/// Compares and prints.
///
/// # Errors
///
/// When a row is without its blob, after the report; what a service says.
pub(super) async fn run(args: &DoctorArgs) -> Result<()> {
    let store = services::store(&args.services.database).await?;
    store.schema_check().await?;
    let blobs = services::blobs(&args.services.s3).await?;
    let mut report = Report {
        bucket: blobs.target(),
        ..Report::default()
    };
    for table in BlobTable::ALL {
        rows(&store, &blobs, table, &mut report).await?;
    }
    orphans(&store, &blobs, &mut report).await?;
    if args.json {
        print(&serde_json::to_string_pretty(&report)?);
    } else {
        print(&text(&report));
    }
    match report.rows_without_blob.count {
        0 => Ok(()),
        count => bail!("{count} rows refer to blobs that are not there"),
    }
}

/// Looks up the blob of each row.
async fn rows(store: &Store, blobs: &Blobs, table: BlobTable, report: &mut Report) -> Result<()> {
    let mut after = None;
    loop {
        let page = store
            .blob_rows(table, after.as_ref(), u32::from(PAGE))
            .await?;
        after = page.last().cloned();
        if after.is_none() {
            return Ok(());
        }
        let named = page
            .into_iter()
            .filter_map(|row| Some((row.key.clone()?, row)));
        let looked: Vec<(bool, String, BlobRow)> = stream::iter(named)
            .map(|(name, row)| async move {
                // What can be no key can't be there.
                let there = match name.parse::<Key>() {
                    Ok(key) => blobs.exists(&key).await?,
                    Err(_) => false,
                };
                anyhow::Ok((there, name, row))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        report.rows += looked.len() as u64;
        let mut missing: Vec<(String, BlobRow)> = looked
            .into_iter()
            .filter(|(there, ..)| !there)
            .map(|(_, name, row)| (name, row))
            .collect();
        // A row that went in between took its blob along.
        let names: Vec<String> = missing.iter().map(|(name, _)| name.clone()).collect();
        let still = store.blobs_referenced(&names).await?;
        missing.retain(|(name, _)| still.contains(name));
        for (key, row) in missing {
            let what = match table {
                BlobTable::Images => format!("image {}", row.id),
                BlobTable::Artifacts => format!("{} of edit {}", row.kind, row.id),
                BlobTable::Checkpoints => format!("checkpoint of edit {}", row.id),
                BlobTable::Files => format!("part {} of file {}", row.kind, row.id),
                BlobTable::Intermediates => {
                    format!("intermediate {} of tenant {}", row.kind, row.id)
                }
            };
            report.rows_without_blob.add(Entry { key, what });
        }
    }
}

/// Looks up the rows of each blob.
async fn orphans(store: &Store, blobs: &Blobs, report: &mut Report) -> Result<()> {
    let mut after = None;
    loop {
        let page = blobs
            .list(&Prefix::tenants(), after.as_deref(), PAGE)
            .await?;
        let keys: Vec<String> = page.blobs.iter().map(|blob| blob.key.to_string()).collect();
        report.blobs += keys.len() as u64;
        let mut unreferenced = store.blobs_unreferenced(&keys).await?;
        unreferenced.sort_unstable();
        for blob in page.blobs {
            let key = blob.key.to_string();
            if unreferenced.binary_search(&key).is_ok() {
                let what = match blob.modified {
                    Some(at) => format!("{} bytes, written at {at}", blob.bytes),
                    None => format!("{} bytes", blob.bytes),
                };
                report.blobs_without_row.add(Entry { key, what });
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "{}: {} rows refer to a blob, {} of them to one that is not there; {} blobs, {} of them without a row",
        report.bucket,
        report.rows,
        report.rows_without_blob.count,
        report.blobs,
        report.blobs_without_row.count
    );
    for (word, lacking) in [
        ("no blob", &report.rows_without_blob),
        ("no row ", &report.blobs_without_row),
    ] {
        for entry in &lacking.first {
            text.push_str(&format!("\n{word}  {}  {}", entry.key, entry.what));
        }
        let more = lacking.count.saturating_sub(lacking.first.len() as u64);
        if more > 0 {
            text.push_str(&format!("\n{word}  and {more} more"));
        }
    }
    text
}
