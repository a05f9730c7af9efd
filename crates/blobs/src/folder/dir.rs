use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::Semaphore;

use super::names;
use crate::{Error, Result};

/// Threads at the files at once: more only wait for the locks of directories.
const THREADS: usize = 8;

/// Whether a put waits until its bytes are on the disk itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// It does: what was put is there after a loss of power.
    Always,
    /// It does not: what was put is whole after a kill, but may be gone after a loss of power. For tests.
    Never,
}

/// A bucket in a directory of this machine. Its clones share the directory.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(super) dir: Arc<Dir>,
    bucket: String,
}

/// The directory, locked.
#[derive(Debug)]
pub(super) struct Dir {
    /// Where buckets and side files are.
    pub(super) data: PathBuf,
    pub(super) fsync: Fsync,
    threads: Semaphore,
    lock: File,
}

impl Drop for Dir {
    fn drop(&mut self) {
        // Closing the file does not suffice: a child that another thread is just starting has a copy of it.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, data = %self.data.display(), "the folder of blobs stays locked");
        }
    }
}

impl Folder {
    /// Opens the directory (created), which one process at a time may have open.
    pub(crate) fn open(dir: &Path, bucket: &str, fsync: Fsync) -> Result<Self> {
        let data = dir.join("data");
        std::fs::create_dir_all(&data).map_err(failed("create", &data))?;
        let lock = locked(&dir.join("lock"))?;
        Ok(Self {
            dir: Arc::new(Dir {
                data,
                fsync,
                threads: Semaphore::new(THREADS),
                lock,
            }),
            bucket: bucket.to_owned(),
        })
    }

    /// The same directory, another bucket.
    pub(crate) fn bucket(&self, bucket: &str) -> Self {
        Self {
            dir: Arc::clone(&self.dir),
            bucket: bucket.to_owned(),
        }
    }

    /// Creates the bucket unless it is there.
    pub(crate) async fn bucket_ensure(&self) -> Result<()> {
        self.blocking("create the bucket", |folder| {
            std::fs::create_dir_all(folder.root())?;
            folder.dir.sync(&folder.dir.data)
        })
        .await
    }

    /// Whether the bucket is there.
    pub(crate) async fn bucket_head(&self) -> Result<()> {
        match self.no_bucket() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Directory and bucket in words.
    pub(crate) fn target(&self) -> String {
        format!("bucket `{}` in {}", self.bucket, self.dir.data.display())
    }

    /// The bucket's directory.
    pub(super) fn root(&self) -> PathBuf {
        self.dir.data.join(&self.bucket)
    }

    /// Where the blob of this name lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root().join(names::to_file(name))
    }

    /// The side file of the blob, or what another kind of side file would be named.
    pub(super) fn side(&self, name: &str, end: &str) -> PathBuf {
        self.dir.data.join(names::side(&self.bucket, name, end))
    }

    /// That there is no bucket, if there is none.
    pub(super) fn no_bucket(&self) -> Option<Error> {
        (!self.root().is_dir()).then(|| Error::NoBucket {
            bucket: self.bucket.clone(),
        })
    }

    /// Works on files off the async threads.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let other = |message: String| Error::Other { operation, message };
        let threads = self.dir.threads.acquire().await;
        let _thread = threads.map_err(|error| other(error.to_string()))?;
        let folder = self.clone();
        match tokio::task::spawn_blocking(move || work(&folder)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(source)) => Err(self
                .no_bucket()
                .unwrap_or_else(|| failed(operation, &self.root())(source))),
            Err(error) => Err(other(error.to_string())),
        }
    }
}

impl Dir {
    /// Waits until the names in a directory are on the disk.
    pub(super) fn sync(&self, dir: &Path) -> io::Result<()> {
        if self.fsync == Fsync::Never {
            return Ok(());
        }
        match File::open(dir) {
            // A deletion emptied and removed it meanwhile, and there is no name to wait for.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            opened => opened?.sync_all(),
        }
    }
}

/// Two processes in one folder would remove each other's temporary files.
fn locked(path: &Path) -> Result<File> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(failed("open", path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::Settings(format!(
            "another process uses `{}`; stop it, or take another folder",
            path.parent().unwrap_or(path).display()
        ))),
        Err(TryLockError::Error(source)) => Err(failed("lock", path)(source)),
    }
}

fn failed<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Folder {
        operation,
        path: path.display().to_string(),
        source,
    }
}
