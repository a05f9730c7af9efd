//! Files that were made for clients, kept for a while: a download in parts (`Range`) asks for the same file again and again, and
//! so do pages.
//!
//! Kept in memory of its own, bounded in bytes. Whoever may see the edit may see the file; the edit's rows are asked each time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use limekiln_pictures::Format;
use lru::LruCache;
use tokio::sync::OnceCell;

use crate::problem::{Problem, ProblemCode};

/// How long a file is kept. Of an edit that was deleted nobody gets it, but it is in memory for so long.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Bytes of an entry beside its file.
const ENTRY_BYTES: u64 = 256;

/// A file in memory.
#[derive(Clone)]
pub(crate) struct MadeFile {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
    /// As [`crate::leaving::Made`] says.
    pub(crate) moved: Option<u64>,
}

/// Files by their entity tags, those asked for longest ago at the end. Clones share them.
#[derive(Clone)]
pub(crate) struct MadeFiles {
    bytes_max: u64,
    kept: Arc<Mutex<Kept>>,
}

struct Kept {
    entries: LruCache<String, Entry>,
    /// Of all entries.
    bytes: u64,
}

struct Entry {
    /// Empty while the file is being made.
    cell: Arc<OnceCell<MadeFile>>,
    /// Counted in the sum.
    bytes: u64,
    since: Instant,
}

impl MadeFiles {
    /// Keeps files of so many bytes together; none where it is 0.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            kept: Arc::new(Mutex::new(Kept {
                entries: LruCache::unbounded(),
                bytes: 0,
            })),
        }
    }

    /// The file of this tag, made by `make` where it is not there. Requests for one file that come at once wait for one making.
    ///
    /// It is made to its end even where nobody waits any more: a file that takes longer than a request may is there for whoever
    /// asks again. So `make` holds what bounds how many are made.
    pub(crate) async fn get(
        &self,
        tag: &str,
        make: impl Future<Output = Result<MadeFile, Problem>> + Send + 'static,
    ) -> Result<MadeFile, Problem> {
        let (files, tag) = (self.clone(), tag.to_owned());
        let making = tokio::spawn(async move { files.made(&tag, make).await });
        making.await.unwrap_or_else(|error| {
            tracing::error!(%error, "making a file panicked");
            Err(Problem::plain(ProblemCode::Internal))
        })
    }

    async fn made(
        &self,
        tag: &str,
        make: impl Future<Output = Result<MadeFile, Problem>>,
    ) -> Result<MadeFile, Problem> {
        let mut outcome = "kept";
        let cell = self.with(|kept| kept.cell(tag));
        let making = async {
            outcome = "made";
            make.await
        };
        let file = cell.get_or_try_init(|| making).await.cloned();
        let bytes = self.with(|kept| {
            kept.weigh(tag, &cell);
            kept.shrink(self.bytes_max);
            kept.bytes
        });
        metrics::counter!("limekiln_made_files_total", "outcome" => outcome).increment(1);
        metrics::gauge!("limekiln_made_files_bytes").set(bytes as f64);
        file
    }

    fn with<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    /// The cell of this tag, an empty one where it is not there.
    fn cell(&mut self, tag: &str) -> Arc<OnceCell<MadeFile>> {
        if let Some(entry) = self.entries.get(tag)
            && entry.since.elapsed() < KEPT_FOR
        {
            return entry.cell.clone();
        }
        let entry = Entry {
            cell: Arc::default(),
            bytes: ENTRY_BYTES,
            since: Instant::now(),
        };
        let cell = entry.cell.clone();
        self.bytes += ENTRY_BYTES;
        if let Some(before) = self.entries.put(tag.to_owned(), entry) {
            self.bytes -= before.bytes;
        }
        cell
    }

    /// Counts the file of a cell once it is there; takes the cell out where making it failed.
    fn weigh(&mut self, tag: &str, cell: &Arc<OnceCell<MadeFile>>) {
        let Some(entry) = self
            .entries
            .peek_mut(tag)
            .filter(|it| Arc::ptr_eq(&it.cell, cell))
        else {
            return;
        };
        let bytes = match cell.get() {
            Some(file) => ENTRY_BYTES + file.bytes.len() as u64,
            None => 0,
        };
        self.bytes = self.bytes - entry.bytes + bytes;
        entry.bytes = bytes;
        if bytes == 0 {
            self.entries.pop(tag);
        }
    }

    /// Lets go of what is too old, and of what was asked for longest ago until the rest fits.
    fn shrink(&mut self, bytes_max: u64) {
        while let Some((_, last)) = self.entries.peek_lru()
            && (self.bytes > bytes_max || last.since.elapsed() >= KEPT_FOR)
        {
            if let Some((_, gone)) = self.entries.pop_lru() {
                self.bytes -= gone.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn files_are_made_once_within_bounds() {
        let files = MadeFiles::new(10_000);
        let count = Arc::new(AtomicU32::new(0));
        let get = async |tag: &str, bytes: usize| {
            let count = count.clone();
            let make = async move {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(MadeFile {
                    bytes: vec![7; bytes].into(),
                    format: Format::Jpeg,
                    moved: None,
                })
            };
            let file = files.get(tag, make).await.unwrap();
            assert!(files.with(|kept| kept.bytes <= 10_000));
            file.bytes.len()
        };
        let together = tokio::join!(get("a", 100), get("a", 100), get("a", 100));
        assert_eq!(
            (together, count.load(Ordering::Relaxed)),
            ((100, 100, 100), 1)
        );
        assert_eq!(get("a", 100).await, 100);
        // One that is too large is given out and not kept.
        for made in 2..4 {
            assert_eq!(get("large", 20_000).await, 20_000);
            assert_eq!(count.load(Ordering::Relaxed), made);
        }
        // What failed is tried again.
        let failing = async { Err(Problem::plain(ProblemCode::Overloaded)) };
        assert!(files.get("b", failing).await.is_err());
        assert_eq!(get("b", 50).await, 50);
    }

    #[tokio::test]
    async fn nothing_is_kept_where_there_is_no_room() {
        let files = MadeFiles::new(0);
        for _ in 0..2 {
            let (made, asked) = tokio::sync::oneshot::channel();
            let make = async move {
                made.send(()).unwrap();
                Ok(MadeFile {
                    bytes: Bytes::new(),
                    format: Format::Png,
                    moved: None,
                })
            };
            files.get("a", make).await.unwrap();
            assert_eq!(files.with(|kept| kept.entries.len()), 0);
            asked.await.unwrap();
        }
    }

    /// As a request is whose time is over.
    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_there_for_the_next() {
        let files = MadeFiles::new(10_000);
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let slow = async move {
            begin.send(()).unwrap();
            ended.await.unwrap();
            Ok(MadeFile {
                bytes: vec![7; 100].into(),
                format: Format::WebP,
                moved: None,
            })
        };
        tokio::select! {
            _ = files.get("a", slow) => panic!("it waits to be told to end"),
            begun = begun => begun.unwrap(),
        }
        end.send(()).unwrap();
        let again = async { Err(Problem::plain(ProblemCode::Overloaded)) };
        assert_eq!(files.get("a", again).await.unwrap().bytes.len(), 100);
    }
}
