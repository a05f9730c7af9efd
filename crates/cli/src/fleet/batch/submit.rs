//! `limekiln batch submit`: everything is checked, then sent in order. The gateway knows how many rows it has, so a submit that died goes
//! on where it was, without a note of its own.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use futures_util::stream;
use limekiln_jobs::ImageId;
use limekiln_jobs::api::{CatalogRequest, CatalogRow, CatalogView, ImageView, RowsTaken};
use limekiln_jobs::catalog::{CHUNK_BYTES_MAX, ROWS_MAX};
use serde_json::Value;
use tokio::task::JoinSet;

use super::product::{Picture, Product, Row};
use super::uploaded::{Stamp, Uploaded};
use super::{estimate, follow, say, sheet};
use crate::args::BatchSubmitArgs;
use crate::fleet::client::Client;
use crate::fleet::submit::read;
use crate::fleet::work::cache_default;
use crate::output::{name_probe, print};
use crate::progress::Progress;
use crate::settings::Usage;

/// Rows of one request.
const CHUNK: usize = 1000;
/// Requests with rows that are under way at once: while the gateway writes some, the next are made.
const AT_ONCE: usize = 3;
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
    let mut sender = Sender::new(args, &client);
    let mut view = sender
        .sent(&request, &counted.key, rows, counted.rows)
        .await?;
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
    let view = Sender::new(args, client)
        .sent(&request, &key, rows, all)
        .await?;
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
                hash.update(match &row.image {
                    Picture::File(file) => file.as_os_str().as_encoded_bytes(),
                    Picture::Address(address) => address.as_bytes(),
                });
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

/// What rows are sent with.
struct Sender<'a> {
    client: &'a Client,
    /// Images of the files of this manifest.
    images: HashMap<PathBuf, ImageId>,
    /// Images of files that other catalogs were sent with.
    uploaded: Uploaded,
}

impl<'a> Sender<'a> {
    fn new(args: &BatchSubmitArgs, client: &'a Client) -> Self {
        let cache = cache_default().ok();
        Self {
            client,
            images: HashMap::new(),
            uploaded: Uploaded::open(cache, &args.gateway.url, &args.gateway.key),
        }
    }

    /// Makes the catalog, or finds the one that was made with this key, and sends the rows that it lacks.
    async fn sent(
        &mut self,
        request: &CatalogRequest,
        key: &str,
        rows: impl Iterator<Item = Result<Row>>,
        all: u64,
    ) -> Result<CatalogView> {
        let client = self.client;
        let view: CatalogView = client
            .catalog_create(request, key)
            .await
            .context("the catalog can't be made")?;
        let path = format!("/v1/catalogs/{}", view.id);
        eprintln!("catalog {}", view.id);
        if view.rows > 0 {
            eprintln!("{} of {all} rows are there already", view.rows);
        }
        // Of the requests that were under way together the first may be what is missing.
        let sure = view.rows.saturating_sub(((AT_ONCE - 1) * CHUNK) as u64);
        let rows = rows.skip(usize::try_from(sure)?);
        tokio::select! {
            sent = self.send(rows, &path, sure, all) => sent?,
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

    /// Sends the rows after those that are there, in requests of which a few are under way at once.
    async fn send(
        &mut self,
        rows: impl Iterator<Item = Result<Row>>,
        path: &str,
        there: u64,
        all: u64,
    ) -> Result<()> {
        let bar = Progress::new("");
        let mut chunk: Vec<Row> = Vec::with_capacity(CHUNK);
        let mut sent = there;
        let mut rows = rows.fuse();
        let mut under_way = JoinSet::new();
        loop {
            let row = rows.next();
            let last = row.is_none();
            if let Some(row) = row {
                chunk.push(row.context("the manifest changed while it was read")?);
            }
            if chunk.len() < CHUNK && !last {
                continue;
            }
            for body in self.bodies(&mut chunk).await? {
                if under_way.len() >= AT_ONCE
                    && let Some(taken) = under_way.join_next().await
                {
                    sent += taken??;
                    bar.count("sent", sent as usize, all.max(1) as usize);
                }
                under_way.spawn(add(self.client.clone(), path.to_owned(), body));
            }
            if last {
                break;
            }
        }
        while let Some(taken) = under_way.join_next().await {
            sent += taken??;
            bar.count("sent", sent as usize, all.max(1) as usize);
        }
        bar.finish();
        Ok(())
    }

    /// Uploads what these rows name; then what is sent of them.
    async fn bodies(&mut self, chunk: &mut Vec<Row>) -> Result<Vec<Vec<u8>>> {
        if self.images.len() > REMEMBERED {
            self.images.clear();
        }
        self.upload(chunk).await?;
        let mut bodies = Vec::new();
        let mut body = Vec::new();
        for row in chunk.drain(..) {
            let line = line(row, &self.images)?;
            if body.len() + line.len() > CHUNK_BYTES_MAX {
                bodies.push(std::mem::take(&mut body));
            }
            body.extend(line);
        }
        if !body.is_empty() {
            bodies.push(body);
        }
        Ok(bodies)
    }

    /// Uploads the pictures of these rows that are not there.
    async fn upload(&mut self, chunk: &[Row]) -> Result<()> {
        let mut lacking = Vec::new();
        let mut seen = HashSet::new();
        let files = chunk
            .iter()
            .flat_map(|row| [row.image.file(), row.mask.as_ref()]);
        for file in files.flatten() {
            if !self.images.contains_key(file) && seen.insert(file) {
                let stamp = Stamp::of(file);
                let known = stamp.and_then(|stamp| self.uploaded.get(file, stamp));
                lacking.push((file.clone(), stamp, known));
            }
        }
        let client = self.client;
        let uploads = lacking.into_iter().map(async |(file, stamp, known)| {
            if let Some(id) = known
                && is_there(client, id).await
            {
                return Ok::<_, anyhow::Error>((file, None, id));
            }
            let id = upload(client, &file).await?;
            Ok((file, stamp, id))
        });
        let mut uploads = stream::iter(uploads).buffer_unordered(UPLOADS);
        while let Some(uploaded) = uploads.next().await {
            let (file, fresh, id) = uploaded?;
            if let Some(stamp) = fresh {
                self.uploaded.add(&file, stamp, id);
            }
            self.images.insert(file, id);
        }
        Ok(())
    }
}

/// Whether the gateway still has an image. What went wrong otherwise, the upload tells.
async fn is_there(client: &Client, id: ImageId) -> bool {
    let found = client.get::<ImageView>(&format!("/v1/images/{id}")).await;
    found.is_ok()
}

async fn add(client: Client, path: String, body: Vec<u8>) -> Result<u64> {
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
    match &row.image {
        Picture::File(file) => fields.insert("image".to_owned(), id(file)?),
        Picture::Address(address) => fields.insert("image_url".to_owned(), address.as_str().into()),
    };
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
