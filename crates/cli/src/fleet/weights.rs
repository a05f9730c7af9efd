//! Weights in a bucket: downloaded once, and kept on disk.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use limekiln_blobs::{Blobs, Key, Listed, Prefix};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

use crate::args::ModelArgs;
use crate::settings::Usage;

/// The most files that a checkpoint has. A folder with more is not one.
const FILES_MAX: usize = 1000;

/// Downloads the model where it is `s3://bucket/folder` (or a file there), and returns the arguments with its path on
/// disk in place of that.
///
/// The files are kept under a checksum of their listing (names, sizes, times), so that a worker that starts again
/// downloads nothing, and one that finds other weights under the same address downloads those.
///
/// # Errors
///
/// [`Usage`] for an address that can't be one; else what is wrong with the bucket or the disk.
pub(super) async fn fetch(args: &ModelArgs, blobs: &Blobs, folder: &Path) -> Result<ModelArgs> {
    let mut args = args.clone();
    if let Some(address) = args.model.strip_prefix("s3://") {
        let (bucket, path) = address
            .split_once('/')
            .map(|(bucket, path)| (bucket, path.trim_matches('/')))
            .filter(|(bucket, path)| !bucket.is_empty() && !path.is_empty())
            .ok_or_else(|| Usage(format!("--model: {}: write s3://bucket/folder", args.model)))?;
        let key: Key = path.parse().context("--model")?;
        let fetched = checkpoint(&blobs.bucket(bucket)?, &key, folder)
            .await
            .with_context(|| format!("--model: {}", args.model))?;
        args.model = fetched
            .into_os_string()
            .into_string()
            .ok()
            .context("the cache folder's name is not UTF-8: name another with --cache")?;
    }
    Ok(args)
}

/// Downloads a checkpoint unless it is there already; returns its path.
async fn checkpoint(bucket: &Blobs, key: &Key, folder: &Path) -> Result<PathBuf> {
    let page = bucket
        .list(&Prefix::folder(key), None, FILES_MAX as u16)
        .await?;
    if page.next.is_some() {
        bail!("more than {FILES_MAX} files lie there: name the folder of one checkpoint");
    }
    let mut sum = blake3::Hasher::new();
    for Listed {
        key,
        bytes,
        modified,
        ..
    } in &page.blobs
    {
        sum.update(format!("{key}\n{bytes}\n{modified:?}\n").as_bytes());
    }
    let single = page.blobs.is_empty();
    if single {
        let head = bucket.head(key).await?.context("nothing lies there")?;
        sum.update(format!("{key}\n{}\n{:?}\n", head.bytes, head.modified).as_bytes());
    }
    let kept = folder.join(&sum.finalize().to_hex()[..32]);
    let name = |key: &Key| {
        key.as_str()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    if !kept.is_dir() {
        // Downloaded beside its place and moved there whole: a worker that does the same at the same time wins or loses the
        // move, and nobody sees half a checkpoint.
        let part = tempfile::tempdir_in(create_folder(folder).await?)?;
        if single {
            download(bucket, key, &part.path().join(name(key))).await?;
        }
        for listed in &page.blobs {
            let relative = listed.key.as_str().trim_start_matches(key.as_str());
            download(
                bucket,
                &listed.key,
                &part.path().join(relative.trim_start_matches('/')),
            )
            .await?;
        }
        let part = part.keep();
        if let Err(error) = fs::rename(&part, &kept).await {
            fs::remove_dir_all(&part).await?;
            if !kept.is_dir() {
                return Err(error).context(kept.display().to_string());
            }
        }
    }
    Ok(if single { kept.join(name(key)) } else { kept })
}

async fn create_folder(folder: &Path) -> Result<&Path> {
    fs::create_dir_all(folder)
        .await
        .with_context(|| format!("{}: the cache folder can't be made", folder.display()))?;
    Ok(folder)
}

async fn download(bucket: &Blobs, key: &Key, path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        create_folder(folder).await?;
    }
    tracing::info!(%key, "fetching weights");
    let mut file = File::create(path)
        .await
        .with_context(|| path.display().to_string())?;
    let unwritten = || {
        format!(
            "{}: can't be written: a full disk needs room, or name another folder with --cache",
            path.display()
        )
    };
    let mut download = bucket.download_steadily(key);
    while let Some(chunk) = download.next().await? {
        file.write_all(&chunk).await.with_context(unwritten)?;
    }
    file.sync_all().await.with_context(unwritten)?;
    Ok(())
}
