//! Which files of a catalog are there, and of which edits: a row that was done again has another file under the same name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use limekiln_jobs::EditId;

/// The name of the list of files that came since the manifest was written.
const JOURNAL: &str = ".limekiln-results";

/// The files that are there.
pub(super) struct Had {
    edits: HashMap<u64, EditId>,
    path: PathBuf,
    journal: File,
}

impl Had {
    /// Reads what a folder has: by its manifest, and by the list of what came since.
    pub(super) fn open(folder: &Path, manifest: &Path) -> Result<Self> {
        let mut edits = HashMap::new();
        of_manifest(manifest, &mut edits);
        let path = folder.join(JOURNAL);
        let shown = || path.display().to_string();
        match File::open(&path) {
            Ok(file) => {
                for line in BufReader::new(file).lines() {
                    // The last line of one that was killed may be a half.
                    let line = line.with_context(shown)?;
                    let Some((row, edit)) = line.split_once(' ') else {
                        continue;
                    };
                    if let (Ok(row), Ok(edit)) = (row.parse(), edit.parse()) {
                        edits.insert(row, edit);
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(shown),
        }
        let journal = File::options().create(true).append(true).open(&path);
        let journal = journal.with_context(shown)?;
        Ok(Self {
            edits,
            path,
            journal,
        })
    }

    /// Whether the file of a row is the result of this edit.
    pub(super) fn is(&self, row: u64, edit: EditId) -> bool {
        self.edits.get(&row) == Some(&edit)
    }

    /// Notes that the file of a row is the result of this edit.
    pub(super) fn add(&mut self, row: u64, edit: EditId) -> Result<()> {
        // After a half line, a line of its own.
        writeln!(self.journal, "\n{row} {edit}").with_context(|| self.path.display().to_string())
    }

    /// Forgets the list: the manifest has it all.
    pub(super) fn end(self) -> Result<()> {
        std::fs::remove_file(&self.path).with_context(|| self.path.display().to_string())
    }
}

/// What a manifest of results says. What can't be read of it, because it is not there or somebody wrote into it, is downloaded again.
fn of_manifest(path: &Path, edits: &mut HashMap<u64, EditId>) {
    let Ok(mut manifest) = csv::Reader::from_path(path) else {
        return;
    };
    let Ok(names) = manifest.headers().cloned() else {
        return;
    };
    let place = |name: &str| names.iter().position(|found| found == name);
    let (Some(row), Some(edit), Some(file)) = (place("row"), place("edit"), place("file")) else {
        return;
    };
    for record in manifest.records().map_while(|record| record.ok()) {
        let cell = |at: usize| record.get(at).unwrap_or_default();
        if !cell(file).is_empty()
            && let (Ok(row), Ok(edit)) = (cell(row).parse(), cell(edit).parse())
        {
            edits.insert(row, edit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_was_done_again_has_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("results.csv");
        let (first, second) = (EditId::new(), EditId::new());
        let open = || Had::open(folder.path(), &manifest).unwrap();
        assert!(!open().is(1, first));
        open().add(1, first).unwrap();
        // Killed in the middle of a line.
        std::fs::write(
            folder.path().join(JOURNAL),
            format!("1 {first}\n2 {}", &first.to_string()[..9]),
        )
        .unwrap();
        open().add(3, second).unwrap();
        let had = open();
        assert!(had.is(1, first) && !had.is(1, second) && !had.is(2, first) && had.is(3, second));
        std::fs::write(
            &manifest,
            format!("row,state,edit,file\n1,passed,{second},a.png\n4,failed,{second},\n"),
        )
        .unwrap();
        had.end().unwrap();
        let had = open();
        assert!(had.is(1, second) && !had.is(3, second) && !had.is(4, second));
    }
}
