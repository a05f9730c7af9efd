//! Pictures that were uploaded before, by path, length and times: what did not change since is not sent again. The list is a file of the
//! user's cache, for each gateway and key; where it can't be read or written, pictures are sent again, and are the same pictures then.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf, absolute};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use limekiln_jobs::ImageId;
use serde::{Deserialize, Serialize};
use url::Url;

/// Pictures that the list has, at most.
const KEPT: usize = 50_000;
/// What changed later than this before it was looked at may change again without another time.
const SETTLED: Duration = Duration::from_secs(2);

/// The pictures that are known.
pub(super) struct Uploaded {
    known: HashMap<PathBuf, (Stamp, ImageId)>,
    list: Option<File>,
}

/// What tells a file from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    bytes: u64,
    modified_ns: u64,
    /// When content or name changed, which nobody sets. 0 where there is no such time.
    changed_ns: u64,
}

/// A line of the list.
#[derive(Serialize, Deserialize)]
struct Line {
    path: PathBuf,
    stamp: Stamp,
    image: ImageId,
}

impl Uploaded {
    /// Those that were sent to this gateway with this key.
    pub(super) fn open(cache: Option<PathBuf>, gateway: &Url, key: &str) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(gateway.as_str().as_bytes()).update(b"\n");
        let name = hash.update(key.as_bytes()).finalize().to_hex();
        let path = cache.map(|cache| cache.join(format!("pictures-{}.jsonl", &name[..16])));
        let Some(path) = path else {
            return Self {
                known: HashMap::new(),
                list: None,
            };
        };
        let mut lines = Vec::new();
        if let Ok(file) = File::open(&path) {
            // The last line of one that was killed may be a half.
            let read = BufReader::new(file).lines().map_while(Result::ok);
            lines.extend(read.filter_map(|line| serde_json::from_str::<Line>(&line).ok()));
        }
        if lines.len() > KEPT {
            lines.drain(..lines.len() - KEPT / 2);
            rewritten(&path, &lines);
        }
        let folder = path.parent();
        let made = folder.is_some_and(|folder| fs::create_dir_all(folder).is_ok());
        let list = || File::options().create(true).append(true).open(&path).ok();
        Self {
            known: lines
                .into_iter()
                .map(|line| (line.path, (line.stamp, line.image)))
                .collect(),
            list: made.then(list).flatten(),
        }
    }

    /// The image of a file that did not change since it was sent.
    pub(super) fn get(&self, file: &Path, stamp: Stamp) -> Option<ImageId> {
        let (known, image) = self.known.get(&absolute(file).ok()?)?;
        (*known == stamp).then_some(*image)
    }

    /// Notes that a file was sent as it was at this stamp.
    pub(super) fn add(&mut self, file: &Path, stamp: Stamp, image: ImageId) {
        let (Some(list), Ok(path)) = (&mut self.list, absolute(file)) else {
            return;
        };
        let line = Line { path, stamp, image };
        if let Ok(mut text) = serde_json::to_vec(&line) {
            // After a half line, a line of its own.
            text.insert(0, b'\n');
            if list.write_all(&text).is_err() {
                self.list = None;
            }
        }
    }
}

impl Stamp {
    /// That of a file now; none where it changed so lately that it may change again unseen.
    pub(super) fn of(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        let since = |at: SystemTime| at.duration_since(UNIX_EPOCH).ok();
        let (modified, now) = (since(metadata.modified().ok()?)?, since(SystemTime::now())?);
        let changed = changed(&metadata);
        let nanoseconds = |at: Duration| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        (modified.max(changed) + SETTLED < now).then(|| Self {
            bytes: metadata.len(),
            modified_ns: nanoseconds(modified),
            changed_ns: nanoseconds(changed),
        })
    }
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> Duration {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(metadata.ctime()).unwrap_or(0);
    Duration::new(seconds, u32::try_from(metadata.ctime_nsec()).unwrap_or(0))
}

#[cfg(not(unix))]
fn changed(_metadata: &Metadata) -> Duration {
    Duration::ZERO
}

/// Writes the list anew. One that is left as it was is only longer than need be.
fn rewritten(path: &Path, lines: &[Line]) {
    let mut text = Vec::new();
    for line in lines {
        if let Ok(line) = serde_json::to_vec(line) {
            text.extend(line);
            text.push(b'\n');
        }
    }
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    if fs::write(&beside, text).is_ok() && fs::rename(&beside, path).is_err() {
        drop(fs::remove_file(&beside));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_change_is_known_to_its_gateway_and_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.png"), folder.path().join("b.png"));
        fs::write(&a, b"one").unwrap();
        // Written just now: it may change unseen.
        assert_eq!(Stamp::of(&a), None);
        assert_eq!(Stamp::of(&b), None);
        let stamp = Stamp {
            bytes: 3,
            modified_ns: 7,
            changed_ns: 9,
        };
        let url: Url = "http://localhost:8080/".parse().unwrap();
        let open = |key: &str| Uploaded::open(Some(folder.path().join("cache")), &url, key);
        let (first, second) = (ImageId::new(), ImageId::new());
        let mut uploaded = open("key");
        uploaded.add(&a, stamp, first);
        uploaded.add(&b, stamp, first);
        uploaded.add(&b, stamp, second);
        let uploaded = open("key");
        assert_eq!(uploaded.get(&a, stamp), Some(first));
        assert_eq!(uploaded.get(&b, stamp), Some(second), "the newest");
        assert_eq!(uploaded.get(&a, Stamp { bytes: 4, ..stamp }), None);
        assert_eq!(open("another").get(&a, stamp), None);
        // Without a place for the list nothing is known, and nothing fails.
        let mut nowhere = Uploaded::open(None, &url, "key");
        nowhere.add(&a, stamp, first);
        assert_eq!(nowhere.get(&a, stamp), None);
    }
}
