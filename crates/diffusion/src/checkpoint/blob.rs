//! The bytes of one file: mapped, read, or part of the binary.

use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;

use crate::Error;

/// A file's name, for messages, and its bytes.
pub(super) struct Blob {
    pub(super) path: String,
    bytes: Bytes,
}

enum Bytes {
    Mapped(Mmap),
    Embedded(&'static [u8]),
}

impl Blob {
    pub(super) fn embedded(path: String, bytes: &'static [u8]) -> Self {
        Self {
            path,
            bytes: Bytes::Embedded(bytes),
        }
    }

    pub(super) fn map(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let io = |source| Error::Io {
            path: name.clone(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        // SAFETY: the map is read-only and private to this value. The bytes are only ever read as plain bytes, so any
        // content is valid; what remains is that another process truncates or rewrites the file meanwhile, which would
        // end this process (SIGBUS) or mix weights. Checkpoints are written once and replaced by renaming; a copy of
        // several GB in memory for the other case would cost every start.
        #[expect(
            unsafe_code,
            reason = "mapping a file is the one thing here that cannot be done otherwise"
        )]
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Ok(Self {
            path: name,
            bytes: Bytes::Mapped(map),
        })
    }

    /// Lets the system take back the memory that this part of the file is mapped to, which is read anew if it is needed again: what was
    /// read is in memory only once.
    pub(super) fn forget(&self, part: Range<usize>) {
        #[cfg(unix)]
        if let Bytes::Mapped(map) = &self.bytes {
            // SAFETY: the map is read-only, so no page of it differs from the file that it is read anew from.
            #[expect(
                unsafe_code,
                reason = "the call may lose what was written to a map, and nothing is written to this one"
            )]
            let done = unsafe {
                map.unchecked_advise_range(UncheckedAdvice::DontNeed, part.start, part.len())
            };
            // It is advice: without it there is only less free memory.
            drop(done);
        }
    }

    /// Refuses what stands in a file's place in a checkout without Git LFS, or after a download that was refused.
    pub(super) fn itself(&self) -> Result<(), Error> {
        let head = self.get(..64).unwrap_or(self).to_ascii_lowercase();
        if head.starts_with(b"version https://") {
            return Err(
                self.damaged("a Git LFS pointer, not the file: fetch it with `git lfs pull`")
            );
        }
        match [&b"<!doctype html"[..], b"<html"]
            .iter()
            .any(|tag| head.starts_with(tag))
        {
            true => Err(self.damaged("a web page, not the file: download the file itself")),
            false => Ok(()),
        }
    }

    /// The whole of a file of text.
    pub(super) fn text(&self) -> Result<&str, Error> {
        self.itself()?;
        std::str::from_utf8(self).map_err(|e| self.damaged(format!("not text ({e})")))
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::Damaged {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Embedded(bytes) => bytes,
        }
    }
}
