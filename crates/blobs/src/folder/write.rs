use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::{Arc, Weak},
    time::SystemTime,
};

use bytes::Bytes;
use tempfile::NamedTempFile;

use super::{
    dir::{Folder, Fsync},
    names,
    read::{is_missing, side_text, sniff},
};
use crate::Result;

/// After so many bytes a put looks whether somebody still waits for it.
const PIECE_BYTES: usize = 1 << 20;

/// Tries to move a file into a directory that deletions keep removing.
const MOVES: u32 = 10;

/// Where a put may store its blob.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the place of the blob of that name, if there is one.
    Any,
    /// Where there is none.
    Free,
}

/// What may lie beside a blob: its media type, and what the S3 server of before kept of one put in parts.
const SIDES: [&str; 2] = ["metadata.json", "internal.json"];

impl Folder {
    /// Stores a blob whole or not at all. A put that is dropped in the middle leaves nothing.
    pub(crate) async fn put(&self, name: &str, body: Bytes, media_type: &str) -> Result<()> {
        self.put_as(Place::Any, name, body, media_type)
            .await
            .map(drop)
    }

    /// The same, unless there is such a blob; whether it was stored.
    pub(crate) async fn put_new(&self, name: &str, body: Bytes, media_type: &str) -> Result<bool> {
        self.put_as(Place::Free, name, body, media_type).await
    }

    async fn put_as(
        &self,
        place: Place,
        name: &str,
        body: Bytes,
        media_type: &str,
    ) -> Result<bool> {
        // Before a side file is written for a blob that can't be.
        if let Some(error) = self.no_bucket() {
            return Err(error);
        }
        let (name, media_type) = (name.to_owned(), media_type.to_owned());
        let waiting = Arc::new(());
        let waiter = Arc::downgrade(&waiting);
        self.blocking("put a blob", move |folder| {
            folder.put_now(place, &name, &body, &media_type, &waiter)
        })
        .await
    }

    fn put_now(
        &self,
        place: Place,
        name: &str,
        body: &[u8],
        media_type: &str,
        waiter: &Weak<()>,
    ) -> io::Result<bool> {
        let path = self.path(name);
        // The side file of the blob that is there stays as it is.
        if place == Place::Free && path.try_exists()? {
            return Ok(false);
        }
        let file = self.written(body, waiter)?;
        let [media_side, internal_side] = SIDES.map(|end| self.side(name, end));
        // The side file comes first: where the blob is seen its type is known.
        if media_type == sniff(body) {
            removed(&media_side)?;
        } else {
            let side = self.written(side_text(media_type).as_bytes(), waiter)?;
            side.persist(media_side)?;
            self.dir.sync(&self.dir.data)?;
        }
        removed(&internal_side)?;
        let dir = path.parent().unwrap_or(&path);
        let stored = self.moved(place, file, &path, dir)?;
        self.dir.sync(dir)?;
        Ok(stored)
    }

    /// A temporary file with these bytes, on the disk; dropped, it is removed.
    fn written(&self, body: &[u8], waiter: &Weak<()>) -> io::Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(names::TEMPORARY);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Of which the umask takes away, as from any program's new file.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut file = builder.tempfile_in(&self.dir.data)?;
        let awaited = || match waiter.strong_count() {
            0 => Err(io::Error::other("nobody waits for it any more")),
            _ => Ok(()),
        };
        for piece in body.chunks(PIECE_BYTES) {
            awaited()?;
            file.write_all(piece)?;
        }
        if self.dir.fsync == Fsync::Always {
            file.as_file().sync_all()?;
        }
        awaited()?;
        Ok(file)
    }

    /// Moves the file to its place, whose directories are made when they are missing; whether the place was one to take.
    fn moved(
        &self,
        place: Place,
        mut file: NamedTempFile,
        path: &Path,
        dir: &Path,
    ) -> io::Result<bool> {
        for _ in 0..MOVES {
            let moved = match place {
                Place::Any => file.persist(path),
                Place::Free => file.persist_noclobber(path),
            };
            match moved {
                Ok(_) => return Ok(true),
                Err(failed)
                    if place == Place::Free
                        && failed.error.kind() == io::ErrorKind::AlreadyExists =>
                {
                    return Ok(false);
                }
                Err(failed) if failed.error.kind() == io::ErrorKind::NotFound => {
                    file = failed.file;
                    self.dirs_make(dir)?;
                }
                Err(failed) => return Err(failed.error),
            }
        }
        Err(io::Error::other(
            "its directory was removed again and again",
        ))
    }

    /// Makes a directory and those above it, but not the bucket's.
    fn dirs_make(&self, dir: &Path) -> io::Result<()> {
        let above = dir.parent().unwrap_or(dir);
        match fs::create_dir(dir) {
            // If it is a file, or is removed before the blob comes, the move says so.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && above != self.dir.data => {
                self.dirs_make(above)?;
                self.dirs_make(dir)
            }
            made => {
                made?;
                self.dir.sync(above)
            }
        }
    }

    /// Deletes blobs with what lies beside them, and the directories that become empty; those that are gone already are
    /// no error. Not waited for on the disk: the sweep finds a blob that a loss of power brings back.
    pub(crate) async fn delete(&self, names: Vec<String>) -> Result<()> {
        if let Some(error) = self.no_bucket() {
            return Err(error);
        }
        self.blocking("delete blobs", move |folder| {
            names.iter().try_for_each(|name| folder.delete_now(name))
        })
        .await
    }

    fn delete_now(&self, name: &str) -> io::Result<()> {
        let (root, path) = (self.root(), self.path(name));
        match fs::remove_file(&path) {
            // A directory holds blobs and is none.
            Err(_) if path.is_dir() => {}
            done => gone(done)?,
        }
        for end in SIDES {
            removed(&self.side(name, end))?;
        }
        let above = path.ancestors().skip(1);
        for dir in above.take_while(|dir| *dir != root) {
            // It holds other blobs.
            if fs::remove_dir(dir).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Removes up to `limit` files written until `before` that belong to puts which were never finished; returns how many.
    pub(crate) async fn leftovers_remove(&self, before: SystemTime, limit: u16) -> Result<u64> {
        self.blocking("abort uploads", move |folder| {
            folder.leftovers_remove_now(before, limit)
        })
        .await
    }

    fn leftovers_remove_now(&self, before: SystemTime, limit: u16) -> io::Result<u64> {
        let mut count = 0;
        for entry in fs::read_dir(&self.dir.data)? {
            let entry = entry?;
            let is_leftover = entry.file_name().to_str().is_some_and(names::is_leftover);
            if !is_leftover || count == u64::from(limit) {
                continue;
            }
            match entry.metadata().and_then(|metadata| metadata.modified()) {
                Ok(modified) if modified <= before => {
                    removed(&entry.path())?;
                    count += 1;
                }
                Ok(_) => {}
                // Finished meanwhile.
                Err(error) => gone(Err(error))?,
            }
        }
        Ok(count)
    }
}

/// Removes a file that may be gone already.
fn removed(path: &Path) -> io::Result<()> {
    gone(fs::remove_file(path))
}

/// Gone already is as good as removed.
fn gone(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| {
        if is_missing(&error) {
            Ok(())
        } else {
            Err(error)
        }
    })
}
