//! Uploads in parts that have begun: what s3s-fs keeps of them in file names.

use std::{io, path::Path, time::SystemTime};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// An upload that was begun and neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) initiated: SystemTime,
}

/// Up to `limit` uploads to a bucket under a prefix.
pub(super) fn begun(
    root: &Path,
    bucket: &str,
    prefix: &str,
    limit: usize,
) -> io::Result<Vec<Upload>> {
    let start = format!(".bucket-{}.object-", URL_SAFE_NO_PAD.encode(bucket));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        if found.len() == limit {
            break;
        }
        let entry = entry?;
        let name = entry.file_name();
        let Some((key, id)) = name.to_str().and_then(|name| {
            name.strip_prefix(&start)?
                .strip_suffix(".metadata.json")?
                .split_once(".upload-")
        }) else {
            continue;
        };
        let key = URL_SAFE_NO_PAD
            .decode(key)
            .ok()
            .and_then(|key| String::from_utf8(key).ok());
        let Some(key) = key.filter(|key| key.starts_with(prefix)) else {
            continue;
        };
        match entry.metadata().and_then(|metadata| metadata.modified()) {
            Ok(initiated) => found.push(Upload {
                key,
                id: id.to_owned(),
                initiated,
            }),
            // Completed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
