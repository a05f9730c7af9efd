//! Every published layout opens to the same networks; everything else is refused in one clear line.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod damage;
mod errors;
mod hub;
mod layouts;

use std::fs;
use std::path::{Path, PathBuf};

use limekiln_diffusion::Error;
use limekiln_diffusion::checkpoint::{Checkpoint, OpenOptions, Source};

/// A checkpoint or golden file that diffusers made.
fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference")
        .join(path)
}

fn open(path: &Path, options: &OpenOptions) -> Result<Checkpoint, Error> {
    Checkpoint::open(&Source::Path(path.to_owned()), options)
}

/// A copy to spoil.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_into(&reference("checkpoints").join(name), folder.path());
    folder
}

fn copy_into(from: &Path, to: &Path) {
    for entry in from.read_dir().unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy_into(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// The error's one line.
fn refusal(path: &Path, options: &OpenOptions) -> String {
    let error = open(path, options)
        .map(|c| c.name)
        .expect_err("it must be refused");
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}
