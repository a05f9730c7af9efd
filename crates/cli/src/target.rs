//! Where a result goes. Whatever can be in its way is found before anything slow starts, and a name that nobody gave is taken
//! from nobody: of several commands that write beside one picture, each gets a name of its own.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use image::DynamicImage;
use limekiln_pictures::{Format, encode};

use crate::output::{name_probe, print, same_file, write, write_new};
use crate::settings::Usage;

/// The most results beside one picture.
const BESIDE_MAX: u32 = 99_999;

/// A place for a picture file that was found to be writable.
#[derive(Debug)]
pub(crate) enum Target {
    /// What the user named.
    Given {
        /// Whose extension names the format.
        path: PathBuf,
        /// The format.
        format: Format,
    },
    /// A free name beside this picture, in any format.
    Beside(PathBuf),
}

impl Target {
    /// Checks that a picture can be written to `path` and that this would not overwrite one of `kept`.
    ///
    /// # Errors
    ///
    /// Says what is in the way.
    pub(crate) fn new(path: &Path, kept: &[&Path]) -> Result<Self> {
        if is_stdout(path) {
            if std::io::stdout().is_terminal() {
                return Err(Usage(format!(
                    "{}: stdout is a terminal: send it to a file or to a program",
                    path.display()
                ))
                .into());
            }
            return Ok(Self::Given {
                path: path.to_owned(),
                format: Format::Png,
            });
        }
        let format = format_of(path)?;
        if path.is_dir() {
            bail!("{}: is a folder: name a file", path.display());
        }
        if let Some(kept) = kept.iter().find(|kept| same_file(path, kept)) {
            bail!(
                "{}: would overwrite the input {}: name another file",
                path.display(),
                kept.display()
            );
        }
        if fs::metadata(path).is_ok_and(|metadata| metadata.permissions().readonly()) {
            bail!("{}: is read-only: name another file", path.display());
        }
        name_probe(path)?;
        Ok(Self::Given {
            path: path.to_owned(),
            format,
        })
    }

    /// A free name beside `input`: `room-edited.png`, `room-edited-2.png`, ...
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn beside(input: &Path) -> Result<Self> {
        name_probe(&beside(input, BESIDE_MAX, Format::WebP))
            .context("the result goes beside the input unless -o says where")?;
        Ok(Self::Beside(input.to_owned()))
    }

    /// The format that the name asks for, if it asks for one.
    pub(crate) fn format(&self) -> Option<Format> {
        match self {
            Self::Given { format, .. } => Some(*format),
            Self::Beside(_) => None,
        }
    }

    /// The path that the user named, if any.
    pub(crate) fn given(&self) -> Option<&Path> {
        match self {
            Self::Given { path, .. } => Some(path),
            Self::Beside(_) => None,
        }
    }

    /// Writes a file of `format`, and says where.
    ///
    /// # Errors
    ///
    /// When the file can't be written; nothing is left then.
    pub(crate) fn write(&self, bytes: &[u8], format: Format) -> Result<PathBuf> {
        match self {
            Self::Given { path, .. } if is_stdout(path) => {
                let mut out = std::io::stdout().lock();
                let written = out.write_all(bytes).and_then(|()| out.flush());
                written.context("stdout can't be written")?;
                Ok(path.clone())
            }
            Self::Given { path, .. } => {
                write(path, bytes)?;
                Ok(path.clone())
            }
            Self::Beside(input) => {
                for n in 1..=BESIDE_MAX {
                    let path = beside(input, n, format);
                    if path.symlink_metadata().is_err() && write_new(&path, bytes)? {
                        return Ok(path);
                    }
                }
                Err(anyhow!(
                    "no free name beside {}: give one with -o",
                    input.display()
                ))
            }
        }
    }

    /// Prints the report, or without one where the result was written: on stdout, unless the picture goes there.
    pub(crate) fn say(&self, written: &Path, report: Option<&str>) {
        match (report, self.given().is_some_and(is_stdout)) {
            (Some(report), true) => eprintln!("{report}"),
            (Some(report), false) => print(report),
            (None, true) => {}
            (None, false) => print(&written.display().to_string()),
        }
    }

    /// Writes a picture in the format that the name asks for, and says where.
    ///
    /// # Errors
    ///
    /// As [`Target::write`].
    pub(crate) fn write_picture(&self, pixels: &DynamicImage) -> Result<PathBuf> {
        let format = self.format().unwrap_or(Format::Png);
        self.write(&encode(pixels, format)?, format)
    }
}

/// Whether the name means stdout.
pub(crate) fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout"]
        .iter()
        .any(|name| path == Path::new(name))
}

/// The `n`th name for a result beside `input`.
fn beside(input: &Path, n: u32, format: Format) -> PathBuf {
    let stem = input
        .file_stem()
        .map_or_else(|| "picture".into(), |stem| stem.to_string_lossy());
    let extension = format.extension();
    input.with_file_name(match n {
        1 => format!("{stem}-edited.{extension}"),
        n => format!("{stem}-edited-{n}.{extension}"),
    })
}

/// The format that a file's extension names.
fn format_of(path: &Path) -> Result<Format> {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("png") => Ok(Format::Png),
        Some("jpg" | "jpeg") => Ok(Format::Jpeg),
        Some("webp") => Ok(Format::WebP),
        Some(other) => bail!(
            "{}: .{other} pictures can't be written: name a .png, .webp or .jpg file",
            path.display()
        ),
        None => bail!(
            "{}: the name has no extension: name a .png, .webp or .jpg file",
            path.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_another_takes_meanwhile_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("a.jpg");
        let targets: Vec<Target> = (0..3).map(|_| Target::beside(&input).unwrap()).collect();
        // All of them were free a moment ago, and all are written at once.
        let paths: Vec<PathBuf> = std::thread::scope(|scope| {
            let writers: Vec<_> = targets
                .iter()
                .enumerate()
                .map(|(n, target)| scope.spawn(move || target.write(&[n as u8], Format::Png)))
                .collect();
            writers
                .into_iter()
                .map(|writer| writer.join().unwrap().unwrap())
                .collect()
        });
        for (n, path) in paths.iter().enumerate() {
            assert_eq!(fs::read(path).unwrap(), [n as u8], "{}", path.display());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
