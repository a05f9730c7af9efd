//! The cache's files.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use limekiln_jobs::Digest;

use super::index::{Cache, Index, Inner};
use crate::{Error, Result};

/// Temporary files older than this belong to nobody.
const STALE: Duration = Duration::from_secs(3_600);

impl Cache {
    /// The cache in `dir` (created), holding at most `limit_bytes`. Takes over what an earlier process left there.
    pub async fn open(dir: &Path, limit_bytes: u64) -> Result<Self> {
        let dir = dir.to_owned();
        blocking(move || {
            std::fs::create_dir_all(&dir).map_err(failed("create", &dir))?;
            let index = scan(&dir).map_err(failed("read", &dir))?;
            let inner = Arc::new(Inner {
                dir,
                limit_bytes,
                index: Mutex::new(index),
                fetching: Mutex::default(),
            });
            inner.make_room();
            Ok(Self { inner })
        })
        .await
    }

    /// The blob with this content, verified; none when it is not there or damaged (then it is removed).
    pub async fn get(&self, digest: &Digest) -> Result<Option<Bytes>> {
        let (inner, digest) = (Arc::clone(&self.inner), *digest);
        blocking(move || {
            let found = inner.read(&digest)?;
            let mut index = inner.index();
            if found.is_some() {
                index.hit();
            } else {
                index.miss();
            }
            Ok(found)
        })
        .await
    }

    /// Whether a blob with this content seems to be there; it may be damaged.
    pub fn holds(&self, digest: &Digest) -> bool {
        self.inner.index().entries.contains_key(digest)
    }

    /// Adds a blob, unless it is larger than the whole cache. `digest` must be the bytes' own.
    pub async fn put(&self, digest: &Digest, body: Bytes) -> Result<()> {
        let (inner, digest) = (Arc::clone(&self.inner), *digest);
        blocking(move || inner.write(&digest, &body)).await
    }
}

impl Inner {
    /// The verified bytes, if they are there; counts neither a hit nor a miss.
    pub(super) fn read(&self, digest: &Digest) -> Result<Option<Bytes>> {
        let path = self.path(digest);
        let body = match std::fs::read(&path) {
            Ok(body) => body,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.index().remove(digest);
                return Ok(None);
            }
            Err(source) => return Err(failed("read", &path)(source)),
        };
        if Digest::of(&body) != *digest {
            self.damaged(digest, &path)?;
            return Ok(None);
        }
        self.used(digest, body.len() as u64, &path);
        Ok(Some(body.into()))
    }

    /// Whether the file is there and whole, checked once a process.
    pub(super) fn contains(&self, digest: &Digest) -> Result<bool> {
        let path = self.path(digest);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.index().remove(digest);
                return Ok(false);
            }
            Err(source) => return Err(failed("open", &path)(source)),
        };
        let bytes = file.metadata().map_err(failed("read", &path))?.len();
        let known = self
            .index()
            .entries
            .get(digest)
            .is_some_and(|entry| entry.verified && entry.bytes == bytes);
        if !known && file_digest(&mut file).map_err(failed("read", &path))? != *digest {
            self.damaged(digest, &path)?;
            return Ok(false);
        }
        self.used(digest, bytes, &path);
        Ok(true)
    }

    /// Removes a file that is not what its name says.
    fn damaged(&self, digest: &Digest, path: &Path) -> Result<()> {
        tracing::warn!(%digest, "a cached blob is damaged; removed");
        self.index().remove(digest);
        removed(path).map_err(failed("remove", path))
    }

    /// Makes a verified file the most recently used.
    fn used(&self, digest: &Digest, bytes: u64, path: &Path) {
        let mut index = self.index();
        match index.entries.get_mut(digest) {
            Some(entry) => {
                entry.verified = true;
                index.touch(digest);
            }
            // Another process put it there.
            None => index.insert(*digest, bytes, true, 0),
        }
        drop(index);
        // The order outlives the process in the files' times.
        let touched = File::options()
            .write(true)
            .open(path)
            .and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(error) = touched {
            tracing::debug!(%digest, %error, "a cached blob's time can't be set");
        }
    }

    /// Adds a blob that fits.
    pub(super) fn write(&self, digest: &Digest, body: &Bytes) -> Result<()> {
        if body.len() as u64 > self.limit_bytes {
            return Ok(());
        }
        let path = self.dir.join(self.temporary());
        let written = std::fs::write(&path, body).map_err(failed("write", &path));
        self.persist(digest, &path, body.len() as u64, 0, written)
    }

    /// Moves a temporary file to its place, with `new_pins`, or removes it when writing it failed.
    pub(super) fn persist(
        &self,
        digest: &Digest,
        temporary: &Path,
        bytes: u64,
        new_pins: u32,
        written: Result<()>,
    ) -> Result<()> {
        let path = self.path(digest);
        let persisted = written
            .and_then(|()| std::fs::rename(temporary, &path).map_err(failed("write", &path)));
        if let Err(error) = persisted {
            if let Err(error) = removed(temporary) {
                tracing::debug!(%error, file = %temporary.display(), "a temporary file stays");
            }
            return Err(error);
        }
        self.index().insert(*digest, bytes, true, new_pins);
        self.make_room();
        Ok(())
    }

    /// The name of a temporary file that no other process and no other call has.
    pub(super) fn temporary(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        format!(
            "new-{}-{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// Evicts until the rest fits.
    fn make_room(&self) {
        let out = self.index().evict(self.limit_bytes);
        for digest in out {
            metrics::counter!("limekiln_cache_evicted_total").increment(1);
            if let Err(error) = removed(&self.path(&digest)) {
                tracing::warn!(%digest, %error, "a cached blob can't be removed");
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("limekiln_cache_size_bytes").set(self.index().bytes() as f64);
    }
}

/// What lies in the directory, least recently used first. Leftovers of dead processes are removed.
fn scan(dir: &Path) -> io::Result<Index> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let metadata = match entry.metadata() {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => continue,
            // Another process took it out.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let modified = metadata.modified()?;
        if let Ok(digest) = name.parse::<Digest>() {
            found.push((modified, digest, metadata.len()));
        } else if name.starts_with("new-") && modified.elapsed().is_ok_and(|age| age > STALE) {
            removed(&entry.path())?;
        }
    }
    found.sort_unstable();
    let mut index = Index::default();
    for (_, digest, bytes) in found {
        index.insert(digest, bytes, false, 0);
    }
    Ok(index)
}

fn file_digest(file: &mut File) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut some = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut some)?;
        if read == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(&some[..read]);
    }
}

pub(super) fn removed(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn failed<'a>(
    operation: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Disk {
        operation,
        path: path.display().to_string(),
        source,
    }
}

/// File work and hashing off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::Other {
            operation: "use the cache",
            message: error.to_string(),
        }),
    }
}
