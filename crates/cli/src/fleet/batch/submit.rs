//! `limekiln batch submit`: everything is checked, then sent in order. The gateway knows how many rows it has, so a submit that died goes
//! on where it was, without a note of its own.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use futures_util::stream;
use limekiln_jobs::ImageId;
use limekiln_jobs::api::{CatalogRequest, CatalogRow, CatalogView, RowsTaken};
use limekiln_jobs::catalog::{CHUNK_BYTES_MAX, ROWS_MAX};
use serde_json::Value;

use super::product::{Product, Row};
use super::{estimate, follow, say, sheet};
use crate::args::BatchSubmitArgs;
use crate::fleet::client::Client;
use crate::fleet::submit::read;
use crate::output::{name_probe, print};
use crate::progress::Progress;
use crate::settings::Usage;

/// Rows of one request.
const CHUNK: usize = 1000;
/// Pictures that are uploaded at once.
const UPLOADS: usize = 4;
/// Pictures whose ids are remembered. One that comes again after so many others is uploaded again, and is the same picture then.
const REMEMBERED: usize = 50_000;
/// Wrong rows that are named.
const NAMED: usize = 20;

/// What a manifest comes to.
pub(super) struct Counted {
    pub(super) rows: u64,
    pub(super) pictures: usize,
    pub(super) bad: u64,
    pub(super) named: Vec<String>,
    /// Names what is sent: the same rows are the same catalog.
    key: String,
}

/// `limekiln batch submit`.
///
/// # Errors
///
/// One line that says what to do.
pub(super) async fn run(args: &BatchSubmitArgs) -> Result<()> {
    let client = Client::new(&args.gateway.url, &args.gateway.key)?;
    let product = Product::new(args)?;
    let request = CatalogRequest {
        name: args.name.clone(),
        defaults: product.defaults.clone(),
        priority: args.priority,
        webhook: args.webhook.clone(),
        ..CatalogRequest::default()
    };
    let counted = count(&product, &request)?;
    if args.dry_run {
        return estimate::run(args, &client, &counted).await;
    }
    if counted.bad > 0 {
        for bad in &counted.named {
            eprintln!("{bad}");
        }
        let detail = format!(
            "{} of {} rows are wrong, and nothing was sent",
            counted.bad, counted.rows
        );
        return Err(Usage(detail).into());
    }
    if counted.rows == 0 {
        bail!("{}: has no rows", args.manifest.display());
    }
    if counted.rows > ROWS_MAX {
        bail!("{} rows: a catalog has at most {ROWS_MAX}", counted.rows);
    }
    if let Some(count) = args.sample {
        return sample(args, &client, &product, request, &counted, count.into()).await;
    }
    let rows = product.rows()?;
    let mut view = sent(&client, &request, &counted.key, rows, counted.rows).await?;
    if args.detach {
        if args.json {
            return say(&view, true);
        }
        print(&view.id.to_string());
        return Ok(());
    }
    view = follow(&client, view.id).await?;
    say(&view, args.json)?;
    if view.failed > 0 {
        bail!(
            "{} rows failed: `limekiln batch results {} --out DIR` tells why, `limekiln batch retry-failed` tries them again",
            view.failed,
            view.id
        );
    }
    Ok(())
}

/// Sends some rows as a catalog of their own, and draws a sheet of them.
async fn sample(
    args: &BatchSubmitArgs,
    client: &Client,
    product: &Product,
    request: CatalogRequest,
    counted: &Counted,
    count: u64,
) -> Result<()> {
    name_probe(&args.sheet)?;
    let chosen = chosen(&counted.key, count, counted.rows);
    let all = chosen.len() as u64;
    let name = match request.name.as_str() {
        "" => format!("sample of {all}"),
        name => format!("{name} (sample of {all})"),
    };
    let request = CatalogRequest { name, ..request };
    let of = |row: Result<Row>| match row {
        Ok(row) if !chosen.contains(&row.number) => None,
        row => Some(row),
    };
    let mut number = 0;
    let rows = product.rows()?.filter_map(of).map(|row| {
        number += 1;
        row.map(|row| Row { number, ..row })
    });
    let key = format!("{}-{all}", counted.key);
    let view = sent(client, &request, &key, rows, all).await?;
    let view = follow(client, view.id).await?;
    let drawn = sheet::draw(client, &view, &args.sheet, None, sheet::SIDE).await?;
    say(&view, args.json)?;
    eprintln!(
        "{}; look at it, then run the same without --sample",
        drawn.says(&args.sheet)
    );
    Ok(())
}

/// So many rows, drawn at random: the same ones of the same manifest, so that a sample that was interrupted goes on.
fn chosen(key: &str, count: u64, rows: u64) -> BTreeSet<u64> {
    let mut chosen = BTreeSet::new();
    let mut random = blake3::Hasher::new().update(key.as_bytes()).finalize_xof();
    let mut drawn = [0; 8];
    while (chosen.len() as u64) < count.min(rows) {
        random.fill(&mut drawn);
        chosen.insert(u64::from_le_bytes(drawn) % rows + 1);
    }
    chosen
}

/// Makes the catalog, or finds the one that was made with this key, and sends the rows that it lacks.
async fn sent(
    client: &Client,
    request: &CatalogRequest,
    key: &str,
    rows: impl Iterator<Item = Result<Row>>,
    all: u64,
) -> Result<CatalogView> {
    let view: CatalogView = client
        .catalog_create(request, key)
        .await
        .context("the catalog can't be made")?;
    let path = format!("/v1/catalogs/{}", view.id);
    eprintln!("catalog {}", view.id);
    if view.rows > 0 {
        eprintln!("{} of {all} rows are there already", view.rows);
    }
    let rows = rows.skip(usize::try_from(view.rows)?);
    tokio::select! {
        sent = send(client, rows, &path, view.rows, all) => sent?,
        _ = tokio::signal::ctrl_c() => bail!("not all rows are sent: run the same command again to go on"),
    }
    let view: CatalogView = client.post(&format!("{path}/seal")).await?;
    if view.rows != all {
        bail!(
            "the gateway has {} rows and the manifest {all}: it changed while it was read",
            view.rows
        );
    }
    Ok(view)
}

/// Reads and checks everything.
fn count(product: &Product, request: &CatalogRequest) -> Result<Counted> {
    let mut hash = blake3::Hasher::new();
    hash.update(&serde_json::to_vec(request)?);
    let hashes = RandomState::new();
    let mut pictures = HashSet::new();
    let mut counted = Counted {
        rows: 0,
        pictures: 0,
        bad: 0,
        named: Vec::new(),
        key: String::new(),
    };
    for row in product.rows()? {
        counted.rows += 1;
        match row {
            Ok(row) => {
                pictures.insert(hashes.hash_one(&row.image));
                hash.update(row.image.as_os_str().as_encoded_bytes());
                hash.update(&serde_json::to_vec(&(&row.values, &row.fields))?);
            }
            Err(error) => {
                counted.bad += 1;
                if counted.named.len() < NAMED {
                    counted.named.push(format!("{error:#}"));
                }
            }
        }
    }
    counted.pictures = pictures.len();
    counted.key = hash.finalize().to_hex().to_string();
    Ok(counted)
}

/// Sends the rows after those that are there.
async fn send(
    client: &Client,
    rows: impl Iterator<Item = Result<Row>>,
    path: &str,
    there: u64,
    all: u64,
) -> Result<()> {
    let bar = Progress::new("");
    let mut images = HashMap::new();
    let mut chunk: Vec<Row> = Vec::with_capacity(CHUNK);
    let mut sent = there;
    for row in rows {
        chunk.push(row.context("the manifest changed while it was read")?);
        if chunk.len() == CHUNK {
            sent += flush(client, path, &mut images, &mut chunk).await?;
            bar.count("sent", sent as usize, all.max(1) as usize);
        }
    }
    if !chunk.is_empty() {
        sent += flush(client, path, &mut images, &mut chunk).await?;
        bar.count("sent", sent as usize, all as usize);
    }
    bar.finish();
    Ok(())
}

/// Uploads what these rows name, then sends them.
async fn flush(
    client: &Client,
    path: &str,
    images: &mut HashMap<PathBuf, ImageId>,
    chunk: &mut Vec<Row>,
) -> Result<u64> {
    if images.len() > REMEMBERED {
        images.clear();
    }
    let mut lacking: Vec<PathBuf> = Vec::new();
    let mut seen = HashSet::new();
    for file in chunk
        .iter()
        .flat_map(|row| [Some(&row.image), row.mask.as_ref()])
        .flatten()
    {
        if !images.contains_key(file) && seen.insert(file) {
            lacking.push(file.clone());
        }
    }
    let uploads = lacking.into_iter().map(async |file| {
        let id = upload(client, &file).await?;
        Ok::<_, anyhow::Error>((file, id))
    });
    let mut uploads = stream::iter(uploads).buffer_unordered(UPLOADS);
    while let Some(uploaded) = uploads.next().await {
        let (file, id) = uploaded?;
        images.insert(file, id);
    }
    drop(uploads);
    let mut body = Vec::new();
    let mut taken = 0;
    for row in chunk.drain(..) {
        let line = line(row, images)?;
        if body.len() + line.len() > CHUNK_BYTES_MAX {
            taken += add(client, path, std::mem::take(&mut body)).await?;
        }
        body.extend(line);
    }
    taken += add(client, path, body).await?;
    Ok(taken)
}

async fn add(client: &Client, path: &str, body: Vec<u8>) -> Result<u64> {
    let taken: RowsTaken = client.rows_add(&format!("{path}/rows"), body).await?;
    Ok(taken.added + taken.repeated)
}

async fn upload(client: &Client, file: &Path) -> Result<ImageId> {
    let image = client.image_create(read(file)?).await;
    Ok(image.with_context(|| file.display().to_string())?.id)
}

fn line(row: Row, images: &HashMap<PathBuf, ImageId>) -> Result<Vec<u8>> {
    let id = |file: &Path| {
        let id = images.get(file).context("a picture was not uploaded")?;
        Ok::<_, anyhow::Error>(Value::from(id.to_string()))
    };
    let mut fields = row.fields;
    fields.insert("image".to_owned(), id(&row.image)?);
    if let Some(mask) = &row.mask {
        fields.insert("mask".to_owned(), id(mask)?);
    }
    let mut line = serde_json::to_vec(&CatalogRow {
        row: row.number,
        values: row.values,
        fields,
    })?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_of_the_manifest_and_always_the_same() {
        let of = |key: &str, count, rows| chosen(key, count, rows);
        let some = of("key", 20, 1_000_000);
        assert_eq!(some.len(), 20);
        assert!(some.iter().all(|row| (1..=1_000_000).contains(row)));
        assert_eq!(some, of("key", 20, 1_000_000));
        assert_ne!(some, of("other", 20, 1_000_000));
        assert_eq!(of("key", 20, 5), (1..=5).collect());
    }
}
