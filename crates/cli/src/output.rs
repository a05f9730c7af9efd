//! Files written whole or not at all.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use image::DynamicImage;
use limekiln_pictures::{Format, Original, encode};
use tempfile::NamedTempFile;

use crate::settings::Usage;

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

/// Whether the name means stdout.
pub(crate) fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout"]
        .iter()
        .any(|name| path == Path::new(name))
}

/// A picture file that was found to be writable.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
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
            return Ok(Self {
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
        folder_probe(folder_of(path))?;
        Ok(Self {
            path: path.to_owned(),
            format,
        })
    }

    /// A free name beside `input`: `room-edited.png`, `room-edited-2.png`, ...
    ///
    /// # Errors
    ///
    /// As [`Target::new`].
    pub(crate) fn beside(input: &Path) -> Result<Self> {
        let stem = input
            .file_stem()
            .map_or_else(|| "picture".into(), |stem| stem.to_string_lossy());
        let name = |n: usize| match n {
            1 => input.with_file_name(format!("{stem}-edited.png")),
            n => input.with_file_name(format!("{stem}-edited-{n}.png")),
        };
        let path = (1..)
            .map(name)
            .find(|path| path.symlink_metadata().is_err());
        let path = path
            .ok_or_else(|| anyhow!("no free name beside {}: give one with -o", input.display()))?;
        Self::new(&path, &[])
            .with_context(|| "the result goes beside the input unless -o says where")
    }

    /// Writes the picture.
    ///
    /// # Errors
    ///
    /// When the file can't be written; nothing is left then.
    pub(crate) fn write(&self, picture: &Original) -> Result<()> {
        let bytes = picture
            .encode(self.format)
            .with_context(|| self.path.display().to_string())?;
        if self.is_pipe() {
            let mut out = std::io::stdout().lock();
            let written = out.write_all(&bytes).and_then(|()| out.flush());
            return written.context("stdout can't be written");
        }
        write(&self.path, &bytes)
    }

    /// Whether the picture goes to stdout.
    pub(crate) fn is_pipe(&self) -> bool {
        is_stdout(&self.path)
    }

    /// Prints the report, or without one the path: on stdout, unless the picture goes there.
    pub(crate) fn say(&self, report: Option<&str>) {
        match (report, self.is_pipe()) {
            (Some(report), true) => eprintln!("{report}"),
            (Some(report), false) => print(report),
            (None, true) => {}
            (None, false) => print(&self.path.display().to_string()),
        }
    }
}

/// Writes a PNG to `path`.
///
/// # Errors
///
/// As [`write`].
pub(crate) fn png_write(path: &Path, pixels: impl Into<DynamicImage>) -> Result<()> {
    let bytes = encode(&pixels.into(), Format::Png).with_context(|| path.display().to_string())?;
    write(path, &bytes)
}

/// Writes `bytes` to `path`: all of them, or the file stays as it was.
///
/// # Errors
///
/// When the folder or the disk does not let it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| Ok(file.as_file().write_all(bytes)?))
}

/// As [`write`], readable by nobody else.
///
/// # Errors
///
/// As [`write`].
#[cfg(feature = "embedded")]
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let attempt = || -> Result<()> {
        // A new temporary file is its owner's alone, so nobody can open it before it is private.
        let mut file = NamedTempFile::new_in(folder_of(path))?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().with_context(|| format!("{}: can't be written", path.display()))
}

/// As [`write`], with `fill` writing into a temporary file beside `path`.
///
/// # Errors
///
/// As [`write`], and what `fill` says.
pub(crate) fn write_with(
    path: &Path,
    fill: impl FnOnce(&NamedTempFile) -> Result<()>,
) -> Result<()> {
    let attempt = || -> Result<()> {
        let file = temporary(folder_of(path))?;
        fill(&file)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().with_context(|| format!("{}: can't be written", path.display()))
}

/// Makes `folder` if need be and checks that files can be written there.
///
/// # Errors
///
/// Says what is in the way.
pub(crate) fn folder_make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("{}: the folder can't be made", folder.display()))?;
    folder_probe(folder)
}

/// Whether two names mean one file that exists.
pub(crate) fn same_file(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

fn folder_probe(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        bail!("{}: no such folder: make it first", folder.display());
    }
    temporary(folder)
        .map(drop)
        .with_context(|| format!("{}: can't write there", folder.display()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

fn temporary(folder: &Path) -> Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".limekiln-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Of which the umask takes away, as from any program's new file.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    Ok(builder.tempfile_in(folder)?)
}

/// Prints `text` and a line end on stdout. A reader that closed the pipe has seen enough, so that is no error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
