//! Listings in the order of keys. s3s-fs walks the whole bucket for every page; this reads the directories that hold the
//! page, and no file's metadata but the page's own.

use std::{io, path::Path, time::SystemTime};

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) modified: Option<SystemTime>,
}

/// Up to `limit` objects whose keys start with `prefix` and come after `after`; and whether there are more.
pub(super) fn list(
    bucket: &Path,
    prefix: &str,
    after: &str,
    limit: usize,
) -> io::Result<(Vec<Entry>, bool)> {
    let mut walk = Walk {
        prefix,
        after,
        // One more says that there are more.
        limit: limit + 1,
        found: Vec::new(),
    };
    walk.directory(bucket, "")?;
    let more = walk.found.len() > limit;
    walk.found.truncate(limit);
    Ok((walk.found, more))
}

struct Walk<'a> {
    prefix: &'a str,
    after: &'a str,
    limit: usize,
    found: Vec<Entry>,
}

impl Walk<'_> {
    /// The objects in `directory`, whose keys start with `base` (empty, or ending with a slash).
    fn directory(&mut self, directory: &Path, base: &str) -> io::Result<()> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            // Emptied and removed since its parent was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !base.is_empty() => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // Names that are not UTF-8 are not ours.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // A directory's keys all begin with its name and a slash: so they sort among the files.
            let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
            let key = format!("{base}{name}{slash}");
            if self.may_hold(&key) {
                names.push((key, entry));
            }
        }
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (key, entry) in names {
            if self.found.len() == self.limit {
                return Ok(());
            }
            if key.ends_with('/') {
                self.directory(&entry.path(), &key)?;
                continue;
            }
            match entry.metadata() {
                Ok(metadata) => self.found.push(Entry {
                    key,
                    bytes: metadata.len(),
                    modified: metadata.modified().ok(),
                }),
                // Deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether this object, or something in this directory (ending with a slash), belongs to the listing.
    fn may_hold(&self, key: &str) -> bool {
        if key.ends_with('/') {
            (key.starts_with(self.prefix) || self.prefix.starts_with(key))
                && (key > self.after || self.after.starts_with(key))
        } else {
            key.starts_with(self.prefix) && key > self.after
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(root: &Path, prefix: &str, after: &str, limit: usize) -> (Vec<String>, bool) {
        let (found, more) = list(root, prefix, after, limit).unwrap();
        (found.into_iter().map(|entry| entry.key).collect(), more)
    }

    #[test]
    fn pages_are_the_sorted_keys_however_they_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut all = Vec::new();
        // `a-b` sorts before `a/b`, and `a.` between: the order of keys is not the order of a walk by names.
        for folder in ["a", "a-b", "a.b", "ab/c", "b"] {
            for file in ["0", "1.png", "z"] {
                let key = format!("{folder}/{file}");
                std::fs::create_dir_all(dir.path().join(folder)).unwrap();
                std::fs::write(dir.path().join(&key), &key).unwrap();
                all.push(key);
            }
        }
        std::fs::write(dir.path().join("a0"), "").unwrap();
        all.push("a0".to_owned());
        all.sort();

        for limit in 1..=all.len() {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let (page, more) = keys(dir.path(), "", &after, limit);
                assert!(page.len() == limit || !more);
                after = page.last().cloned().unwrap_or_default();
                seen.extend(page);
                if !more {
                    break;
                }
            }
            assert_eq!(seen, all, "limit {limit}");
        }
        for prefix in ["a", "a/", "a-", "ab/", "ab/c/1", "c"] {
            let expected: Vec<_> = all
                .iter()
                .filter(|key| key.starts_with(prefix))
                .cloned()
                .collect();
            assert_eq!(
                keys(dir.path(), prefix, "", 100),
                (expected, false),
                "prefix {prefix}"
            );
        }
        assert_eq!(
            keys(dir.path(), "a/", "a/1", 1),
            (vec!["a/1.png".to_owned()], true)
        );
        assert_eq!(list(dir.path(), "a/0", "", 9).unwrap().0[0].bytes, 3);
    }
}
