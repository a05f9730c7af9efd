//! Files written whole or not at all.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use image::DynamicImage;
use limekiln_pictures::{Format, encode};
use tempfile::NamedTempFile;

/// What to know of a JPEG whose blocks could not be kept.
pub(crate) fn coded_anew(moved: u64, why: Option<&str>) -> String {
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    format!(
        "the JPEG was coded anew{why}, which moved {moved} pixels outside the edit; name a .png or .webp file to keep them"
    )
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

/// As [`write`], but only where there is no such file yet, whoever makes one meanwhile; whether it was written.
///
/// # Errors
///
/// As [`write`].
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    let attempt = || -> Result<bool> {
        let mut file = temporary(folder_of(path))?;
        file.write_all(bytes)?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error.into()),
        }
    };
    attempt().with_context(|| format!("{}: can't be written", path.display()))
}

/// Makes `folder` if need be and checks that files of these names can be written there, and that this would overwrite none of
/// the `inputs` and not the `result`.
///
/// # Errors
///
/// Says what is in the way.
pub(crate) fn artifacts_folder<'a>(
    folder: &Path,
    names: impl IntoIterator<Item = &'a str>,
    inputs: &[&Path],
    result: Option<&Path>,
) -> Result<()> {
    folder_make(folder)?;
    for path in names.into_iter().map(|name| folder.join(name)) {
        if inputs.iter().any(|input| same_file(input, &path)) {
            bail!(
                "{}: --artifacts would overwrite the input: name another folder",
                path.display()
            );
        }
        if result.is_some_and(|result| same_place(result, &path)) {
            bail!(
                "{}: -o names a file that --artifacts writes, too: name another file",
                path.display()
            );
        }
        if path.is_dir() {
            bail!(
                "{}: is a folder, and --artifacts writes a file of that name: name another folder",
                path.display()
            );
        }
    }
    Ok(())
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

/// Whether two names mean one file, which need not exist.
fn same_place(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| {
        Some((
            fs::canonicalize(folder_of(path)).ok()?,
            path.file_name()?.to_owned(),
        ))
    };
    same_file(one, other) || place(one).is_some_and(|one| place(other) == Some(one))
}

/// Checks that a file of this name can be written, as far as that shows before.
///
/// # Errors
///
/// Says what is in the way.
pub(crate) fn name_probe(path: &Path) -> Result<()> {
    // Such as a name that is too long, or a part of the path that is no folder.
    if let Err(error) = path.symlink_metadata()
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("{}: can't be written", path.display()));
    }
    folder_probe(folder_of(path))
}

fn folder_probe(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        bail!("{}: no such folder: make it first", folder.display());
    }
    temporary(folder)
        .map(drop)
        .with_context(|| format!("{}: can't write there", folder.display()))
}

/// The folder that `path` is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// A new file in `folder` that is to take another's place, with the rights that any program's new file has.
///
/// # Errors
///
/// When the folder or the disk does not let it.
pub(crate) fn temporary(folder: &Path) -> Result<NamedTempFile> {
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
