//! Listings in the order of keys. A page reads the directories that hold it, and no file's metadata but its own blobs'.

use std::{io, path::Path};

use super::{dir::Folder, names};
use crate::{Result, listing::Found};

impl Folder {
    /// Up to `limit` blobs whose names start with `prefix` and come after `after`; and whether there are more.
    pub(crate) async fn list(
        &self,
        prefix: &str,
        after: Option<String>,
        limit: u16,
    ) -> Result<(Vec<Found>, bool)> {
        let prefix = prefix.to_owned();
        self.blocking("list blobs", move |folder| {
            let after = after.unwrap_or_default();
            list(&folder.root(), &prefix, &after, usize::from(limit))
        })
        .await
    }
}

fn list(bucket: &Path, prefix: &str, after: &str, limit: usize) -> io::Result<(Vec<Found>, bool)> {
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
    found: Vec<Found>,
}

impl Walk<'_> {
    /// The blobs in `directory`, whose names start with `base` (empty, or ending with a slash).
    fn directory(&mut self, directory: &Path, base: &str) -> io::Result<()> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            // Emptied and removed since its parent was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !base.is_empty() => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().and_then(names::from_file) else {
                continue;
            };
            // All names in a directory begin with its own and a slash, and sort so among the files.
            let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
            let name = format!("{base}{name}{slash}");
            if self.may_hold(&name) {
                listed.push((name, entry));
            }
        }
        listed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, entry) in listed {
            if self.found.len() == self.limit {
                return Ok(());
            }
            if name.ends_with('/') {
                self.directory(&entry.path(), &name)?;
                continue;
            }
            match entry.metadata() {
                Ok(metadata) => self.found.push(Found {
                    name,
                    bytes: metadata.len(),
                    modified: metadata.modified().ok().map(Into::into),
                }),
                // Deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether this blob, or one in this directory (whose name ends with a slash), belongs to the listing.
    fn may_hold(&self, name: &str) -> bool {
        if name.ends_with('/') {
            (name.starts_with(self.prefix) || self.prefix.starts_with(name))
                && (name > self.after || self.after.starts_with(name))
        } else {
            name.starts_with(self.prefix) && name > self.after
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(root: &Path, prefix: &str, after: &str, limit: usize) -> (Vec<String>, bool) {
        let (found, more) = list(root, prefix, after, limit).unwrap();
        (found.into_iter().map(|found| found.name).collect(), more)
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
