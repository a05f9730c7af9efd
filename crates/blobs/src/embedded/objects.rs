//! Objects as files: one file each, written beside its place and moved there, read in one go.
//!
//! s3s-fs takes three files an object, renames what it then finds damaged, and reads 4 KiB at a time. Its layout is kept, so
//! that what it still does (buckets, uploads in parts, ranges) sees the same objects.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;

/// The directory of buckets, of what is being written, and of what s3s-fs keeps beside objects.
#[derive(Debug)]
pub(super) struct Objects {
    root: PathBuf,
    next: AtomicU64,
}

/// An object that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) metadata: Metadata,
    pub(super) media_type: String,
    pub(super) content: Content,
}

/// What of an object has been read.
#[derive(Debug)]
pub(super) enum Content {
    Whole(Bytes),
    /// Too long for one go.
    File(File),
    /// Nobody asked for it.
    Unread,
}

impl Objects {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            next: AtomicU64::new(0),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Stores an object whole or not at all.
    pub(super) fn write(
        &self,
        bucket: &str,
        key: &str,
        media_type: Option<&str>,
        body: &[Bytes],
    ) -> io::Result<Metadata> {
        // A name that s3s-fs removes when it starts: a killed server leaves some.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let fresh = self.root.join(format!(".tmp.whole-{number}.internal.part"));
        let written = self.write_to(&fresh, bucket, key, media_type, body);
        if written.is_err()
            && let Err(error) = gone(std::fs::remove_file(&fresh))
        {
            tracing::debug!(%error, "a temporary file stays");
        }
        written
    }

    fn write_to(
        &self,
        fresh: &Path,
        bucket: &str,
        key: &str,
        media_type: Option<&str>,
        body: &[Bytes],
    ) -> io::Result<Metadata> {
        let mut file = File::create(fresh)?;
        for piece in body {
            file.write_all(piece)?;
        }
        let metadata = file.metadata()?;
        drop(file);
        // Most types can be told from the content; only others are kept beside it.
        let sniffed = sniff(body.first().map_or(&[][..], |piece| &piece[..]));
        let beside = self.beside(bucket, key, "metadata.json");
        match media_type {
            Some(media_type) if media_type != sniffed => {
                let text = media_type.replace(['"', '\\'], "");
                std::fs::write(beside, format!("{{\"content_type\":\"{text}\"}}"))?;
            }
            _ => gone(std::fs::remove_file(beside))?,
        }
        // What s3s-fs knew of an earlier object here is of no use to this one.
        gone(std::fs::remove_file(self.beside(
            bucket,
            key,
            "internal.json",
        )))?;
        let place = self.root.join(bucket).join(key);
        // A deletion may remove the directory between the two: hence a few tries.
        for _ in 0..3 {
            match std::fs::rename(fresh, &place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => match place.parent() {
                    Some(directory) if self.root.join(bucket).is_dir() => {
                        std::fs::create_dir_all(directory)?
                    }
                    _ => return Err(error),
                },
                Err(error) => return Err(error),
                Ok(()) => return Ok(metadata),
            }
        }
        Err(io::Error::other(
            "the directory was removed again and again",
        ))
    }

    /// Opens an object, and reads it when it has at most `read_bytes`. None when there is none.
    pub(super) fn open(
        &self,
        bucket: &str,
        key: &str,
        read_bytes: Option<u64>,
    ) -> io::Result<Option<Opened>> {
        let mut file = match File::open(self.root.join(bucket).join(key)) {
            Ok(file) => file,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut start = Vec::new();
        let whole = read_bytes.is_some_and(|limit| metadata.len() <= limit);
        if whole {
            start.reserve_exact(usize::try_from(metadata.len()).unwrap_or(0));
            file.read_to_end(&mut start)?;
        } else {
            (&file).take(16).read_to_end(&mut start)?;
        }
        let media_type = self
            .media_type(bucket, key)?
            .unwrap_or_else(|| sniff(&start).to_owned());
        let content = if whole {
            Content::Whole(start.into())
        } else if read_bytes.is_some() {
            io::Seek::rewind(&mut file)?;
            Content::File(file)
        } else {
            Content::Unread
        };
        Ok(Some(Opened {
            metadata,
            media_type,
            content,
        }))
    }

    /// Removes an object, what is kept beside it, and the directories that it leaves empty. Gone already is done too.
    pub(super) fn remove(&self, bucket: &str, key: &str) -> io::Result<()> {
        let bucket_place = self.root.join(bucket);
        let place = bucket_place.join(key);
        match std::fs::remove_file(&place) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            // A directory: there is no such object.
            Err(_) if place.is_dir() => return Ok(()),
            done => done?,
        }
        for end in ["metadata.json", "internal.json"] {
            gone(std::fs::remove_file(self.beside(bucket, key, end)))?;
        }
        let mut directory = place.parent();
        while let Some(empty) = directory.filter(|directory| *directory != bucket_place) {
            if std::fs::remove_dir(empty).is_err() {
                break;
            }
            directory = empty.parent();
        }
        Ok(())
    }

    /// The media type kept beside an object, if one is.
    fn media_type(&self, bucket: &str, key: &str) -> io::Result<Option<String>> {
        let text = match std::fs::read_to_string(self.beside(bucket, key, "metadata.json")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let media_type = text
            .split_once("\"content_type\":\"")
            .and_then(|(_, rest)| rest.split_once('"'));
        Ok(media_type.map(|(media_type, _)| media_type.to_owned()))
    }

    /// The name that s3s-fs gives a file beside an object.
    fn beside(&self, bucket: &str, key: &str, end: &str) -> PathBuf {
        let (bucket, key) = (URL_SAFE_NO_PAD.encode(bucket), URL_SAFE_NO_PAD.encode(key));
        self.root
            .join(format!(".bucket-{bucket}.object-{key}.{end}"))
    }
}

/// Gone already is as good as removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The media type that the first bytes tell.
fn sniff(start: &[u8]) -> &'static str {
    match start {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "image/webp",
        _ => "application/octet-stream",
    }
}
