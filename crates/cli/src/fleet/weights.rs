//! Weights in a bucket: downloaded once, and kept on disk.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use limekiln_blobs::{Blobs, Key, Listed, Prefix};
use limekiln_jobs::retry::Policy;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

use crate::args::ModelArgs;
use crate::settings::Usage;

/// The most files that a checkpoint has. A folder with more is not one.
const FILES_MAX: usize = 1000;
/// What the name of a folder ends with whose checkpoint is not whole yet.
const PART: &str = "part";
/// How often is looked whether another process has downloaded it.
const LOOK: Policy = Policy::new(Duration::from_millis(100), Duration::from_secs(2));

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
    let name = |key: &Key| {
        key.as_str()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let mut files: Vec<(Key, PathBuf, u64)> = Vec::new();
    for listed in &page.blobs {
        let relative = listed.key.as_str().trim_start_matches(key.as_str());
        let relative = PathBuf::from(relative.trim_start_matches('/'));
        files.push((listed.key.clone(), relative, listed.bytes));
    }
    let single = page.blobs.is_empty();
    if single {
        let head = bucket.head(key).await?.context("nothing lies there")?;
        sum.update(format!("{key}\n{}\n{:?}\n", head.bytes, head.modified).as_bytes());
        files.push((key.clone(), name(key).into(), head.bytes));
    }
    let kept = folder.join(&sum.finalize().to_hex()[..32]);
    if !kept.is_dir() {
        create_folder(folder).await?;
        // Of several processes with one cache, one downloads and the others wait for it.
        let _lock = Lock::waited(&kept).await?;
        if !kept.is_dir() {
            forget_others(folder, &kept).await?;
            download_all(bucket, &files, &kept).await?;
        }
    }
    Ok(if single { kept.join(name(key)) } else { kept })
}

/// Downloads the files beside their place, and moves them there together, so that nobody sees half a checkpoint. Files that are whole
/// since an attempt which was killed are not fetched again.
async fn download_all(bucket: &Blobs, files: &[(Key, PathBuf, u64)], kept: &Path) -> Result<()> {
    let part = kept.with_extension(PART);
    for (key, relative, bytes) in files {
        let path = part.join(relative);
        if fs::metadata(&path)
            .await
            .is_ok_and(|found| found.len() == *bytes)
        {
            continue;
        }
        // What has this name is not whole.
        let mut coming = path.clone().into_os_string();
        coming.push(".incomplete");
        download(bucket, key, coming.as_ref()).await?;
        fs::rename(&coming, &path)
            .await
            .with_context(|| path.display().to_string())?;
    }
    fs::rename(&part, kept)
        .await
        .with_context(|| kept.display().to_string())
}

/// Removes what killed processes left of other checkpoints, or of these before they were replaced.
async fn forget_others(folder: &Path, kept: &Path) -> Result<()> {
    let mut entries = fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        let path = entry.path();
        let other = path.with_extension("");
        let is_part = path.extension().is_some_and(|extension| extension == PART);
        // Whoever downloads there has the lock.
        if is_part && other != kept && Lock::taken(&other)?.is_some() {
            fs::remove_dir_all(&path)
                .await
                .with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Held by the process that downloads a checkpoint; it ends with that process.
struct Lock {
    _file: std::fs::File,
}

impl Lock {
    /// Waits until nobody else has it.
    async fn waited(kept: &Path) -> Result<Self> {
        let mut backoff = LOOK.start();
        loop {
            match Self::taken(kept)? {
                Some(lock) => return Ok(lock),
                // Not on a thread that blocks, which a process that is told to stop would have to wait for.
                None => tokio::time::sleep(backoff.delay()).await,
            }
        }
    }

    /// None where another has it.
    fn taken(kept: &Path) -> Result<Option<Self>> {
        let path = kept.with_extension("lock");
        let file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context(path.display().to_string()),
        }
    }
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

#[cfg(test)]
mod tests {
    use limekiln_blobs::Fsync;

    use super::*;

    const FILES: [(&str, &str); 3] = [
        ("unet/config.json", "{}"),
        ("unet/weights", "many numbers"),
        ("vae/weights", "fewer numbers"),
    ];

    struct TestContext {
        folder: tempfile::TempDir,
        blobs: Blobs,
        args: ModelArgs,
    }

    impl TestContext {
        /// A checkpoint in a bucket.
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let stored = folder.path().join("s3");
            let blobs = Blobs::folder(&stored, "limekiln", Fsync::Never)
                .await
                .unwrap();
            let bucket = blobs.bucket("weights").unwrap();
            bucket.bucket_ensure().await.unwrap();
            for (name, text) in FILES {
                let key = format!("models/ours/{name}").parse().unwrap();
                bucket.put(&key, text.into(), "text/plain").await.unwrap();
            }
            let args = ModelArgs {
                model: "s3://weights/models/ours".to_owned(),
                ema: false,
                variant: None,
                companion: None,
                device: "cpu".to_owned(),
                dtype: None,
            };
            Self {
                folder,
                blobs,
                args,
            }
        }

        fn cache(&self) -> PathBuf {
            self.folder.path().join("weights")
        }

        async fn fetched(&self) -> PathBuf {
            let args = fetch(&self.args, &self.blobs, &self.cache()).await;
            args.unwrap().model.into()
        }

        /// Folders of the cache.
        fn left(&self) -> Vec<PathBuf> {
            let entries = self.cache().read_dir().unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            let mut folders: Vec<_> = paths.filter(|path| path.is_dir()).collect();
            folders.sort();
            folders
        }
    }

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[tokio::test]
    async fn processes_with_one_cache_fetch_once() {
        let context = TestContext::new().await;
        let (one, other) = tokio::join!(context.fetched(), context.fetched());
        assert_eq!(one, other);
        for (name, wanted) in FILES {
            assert_eq!(text(&one.join(name)), wanted);
        }
        assert_eq!(context.left(), [one]);
    }

    #[tokio::test]
    async fn what_a_killed_fetch_left_is_gone_on_with_or_goes() {
        let context = TestContext::new().await;
        let kept = context.fetched().await;
        // As it lies when one file is whole, and another on its way.
        let part = kept.with_extension(PART);
        std::fs::rename(&kept, &part).unwrap();
        std::fs::write(part.join(FILES[1].0), "MANY NUMBERS").unwrap();
        std::fs::remove_file(part.join(FILES[2].0)).unwrap();
        let coming = part.join("vae/weights.incomplete");
        std::fs::write(&coming, "more than there is of it, by another version").unwrap();
        // Of others: one that nobody downloads any more, and one that somebody does.
        let (dead, alive) = (context.cache().join("dead"), context.cache().join("alive"));
        for other in [&dead, &alive] {
            std::fs::create_dir(other.with_extension(PART)).unwrap();
        }
        let lock = Lock::taken(&alive).unwrap().unwrap();
        assert_eq!(context.fetched().await, kept);
        assert_eq!(
            text(&kept.join(FILES[1].0)),
            "MANY NUMBERS",
            "it came again"
        );
        assert_eq!(text(&kept.join(FILES[2].0)), FILES[2].1);
        assert!(!kept.join("vae/weights.incomplete").exists());
        let mut left = [kept, alive.with_extension(PART)];
        left.sort();
        assert_eq!(context.left(), left);
        drop(lock);
    }
}
