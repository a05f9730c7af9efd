use std::{
    fs::File,
    io::{self, Read, SeekFrom},
};

use tokio::io::AsyncSeekExt;

use super::dir::Folder;
use crate::{Download, Error, Head, Result, Timeouts, download::Body};

/// The start of a file that is read as it is opened, in bytes: all of most blobs.
const FIRST_BYTES: u64 = 1 << 20;

/// The start of a file that tells its media type, in bytes.
const MAGIC_BYTES: u64 = 16;

/// Side files hold the media type behind this.
const MEDIA_TYPE: &str = "\"content_type\":\"";

impl Folder {
    /// Begins to read a blob, behind its first `from` bytes.
    pub(crate) async fn download(&self, name: &str, from: u64) -> Result<Download> {
        let (head, first, file) = self.start(name, FIRST_BYTES).await?;
        let mut rest = tokio::fs::File::from_std(file);
        let mut first = (!first.is_empty()).then(|| first.into());
        if from > 0 {
            first = None;
            let sought = rest.seek(SeekFrom::Start(from)).await;
            sought.map_err(|error| Error::Unavailable {
                operation: "read a blob",
                message: error.to_string(),
            })?;
        }
        let body = Body::File { first, rest };
        let patience = Timeouts::default().attempt;
        Ok(Download::new(head, name, body, from, patience))
    }

    /// Length, media type and time of a blob.
    pub(crate) async fn head(&self, name: &str) -> Result<Head> {
        Ok(self.start(name, MAGIC_BYTES).await?.0)
    }

    async fn start(&self, name: &str, first_bytes: u64) -> Result<(Head, Vec<u8>, File)> {
        let owned = name.to_owned();
        let opened = self.blocking("read a blob", move |folder| {
            folder.start_now(&owned, first_bytes)
        });
        let missing = || {
            let key = name.to_owned();
            self.no_bucket().unwrap_or(Error::NotFound { key })
        };
        opened.await?.ok_or_else(missing)
    }

    /// The blob's head, its start, and its file behind that; none when there is none.
    fn start_now(&self, name: &str, first_bytes: u64) -> io::Result<Option<(Head, Vec<u8>, File)>> {
        let file = match File::open(self.path(name)) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        // A directory holds blobs and is none.
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut first = Vec::with_capacity(metadata.len().min(first_bytes) as usize);
        (&file).take(first_bytes).read_to_end(&mut first)?;
        let kept = match std::fs::read_to_string(self.side(name, "metadata.json")) {
            Ok(text) => media_type(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let head = Head {
            bytes: metadata.len(),
            media_type: Some(kept.unwrap_or_else(|| sniff(&first).to_owned())),
            modified: Some(metadata.modified()?.into()),
        };
        Ok(Some((head, first, file)))
    }
}

/// Whether the error says that there is no such file.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The media type in the text of a side file.
fn media_type(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(MEDIA_TYPE)?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// The text of a side file.
pub(super) fn side_text(media_type: &str) -> String {
    format!("{{{MEDIA_TYPE}{}\"}}", media_type.replace(['"', '\\'], ""))
}

/// The media type that the first bytes tell.
pub(super) fn sniff(first: &[u8]) -> &'static str {
    match first {
        first if first.starts_with(b"\x89PNG") => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'R', b'I', b'F', b'F', _, _, _, _, rest @ ..] if rest.starts_with(b"WEBP") => {
            "image/webp"
        }
        _ => "application/octet-stream",
    }
}
