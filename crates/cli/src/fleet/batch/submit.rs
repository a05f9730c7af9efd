//! `limekiln batch submit`: everything is checked, then sent in order. The gateway knows how many rows it has, so a submit that died goes
//! on where it was, without a note of its own.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use futures_util::stream;
use limekiln_jobs::ImageId;
use limekiln_jobs::api::{CatalogRequest, CatalogRow, CatalogView, Models, RowsTaken};
use limekiln_jobs::catalog::{CHUNK_BYTES_MAX, ROWS_MAX};
use serde_json::{Value, json};

use super::product::{Product, Row};
use super::{follow, say};
use crate::args::BatchSubmitArgs;
use crate::fleet::client::Client;
use crate::fleet::submit::read;
use crate::output::print;
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
struct Counted {
    rows: u64,
    pictures: usize,
    bad: u64,
    named: Vec<String>,
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
        ..CatalogRequest::default()
    };
    let counted = count(&product, &request)?;
    if args.dry_run {
        return dry_run(args, &client, &counted).await;
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
    let view: CatalogView = client
        .catalog_create(&request, &counted.key)
        .await
        .context("the catalog can't be made")?;
    let path = format!("/v1/catalogs/{}", view.id);
    eprintln!("catalog {}", view.id);
    if view.rows > 0 {
        eprintln!("{} of {} rows are there already", view.rows, counted.rows);
    }
    let sent = send(&client, &product, &path, view.rows, counted.rows);
    tokio::select! {
        sent = sent => sent?,
        _ = tokio::signal::ctrl_c() => bail!("not all rows are sent: run the same command again to go on"),
    }
    let mut view: CatalogView = client.post(&format!("{path}/seal")).await?;
    if view.rows != counted.rows {
        bail!(
            "the gateway has {} rows and the manifest {}: it changed while it was read",
            view.rows,
            counted.rows
        );
    }
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

/// Says what would be sent.
async fn dry_run(args: &BatchSubmitArgs, client: &Client, counted: &Counted) -> Result<()> {
    let good = counted.rows - counted.bad;
    let models: Models = client.models().await?;
    let asked = models.data.iter().find(|model| match &args.served_as {
        Some(name) => model.id.as_str() == name,
        None => model.default,
    });
    let cost = args.price.map(|price| price * good as f64);
    if args.json {
        let told = json!({
            "rows": counted.rows, "pictures": counted.pictures, "edits": good, "bad": counted.bad, "errors": counted.named,
            "cost": cost, "workers": asked.map(|model| model.workers),
        });
        print(&told.to_string());
    } else {
        for bad in &counted.named {
            eprintln!("{bad}");
        }
        let mut line = format!(
            "{} rows of {} pictures: {good} edits, {} wrong",
            counted.rows, counted.pictures, counted.bad
        );
        if let Some(cost) = cost {
            line += &format!("; cost {cost:.2}");
        }
        if let Some(model) = asked {
            line += &format!("; {} workers hold {} now", model.workers, model.id);
        }
        print(&line);
    }
    if counted.bad > 0 {
        return Err(Usage(format!("{} rows are wrong", counted.bad)).into());
    }
    Ok(())
}

/// Sends the rows after those that are there.
async fn send(client: &Client, product: &Product, path: &str, there: u64, all: u64) -> Result<()> {
    let bar = Progress::new("");
    let mut images = HashMap::new();
    let mut chunk: Vec<Row> = Vec::with_capacity(CHUNK);
    let mut sent = there;
    let rows = product.rows()?.skip(usize::try_from(there)?);
    for row in rows {
        chunk.push(row.context("the manifest changed while it was read")?);
        if chunk.len() == CHUNK {
            sent += flush(client, path, &mut images, &mut chunk).await?;
            bar.count("sent", sent as usize, all as usize);
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
