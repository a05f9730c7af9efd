//! Pictures from files and pipes.

use std::fs;
use std::io::{ErrorKind, IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use limekiln_lime::canvas::Canvas;
use limekiln_pictures::{Error, Limits};

use crate::settings::Usage;

/// Reads a picture and turns it upright; with its file.
///
/// # Errors
///
/// Says in one line what is wrong with the file.
pub(crate) fn canvas_open(path: &Path, limits: &Limits) -> Result<(Canvas, Vec<u8>)> {
    let open = || -> Result<(Canvas, Vec<u8>)> {
        let file = read(path, limits)?;
        Ok((Canvas::read(&file, limits)?, file))
    };
    open().with_context(|| path.display().to_string())
}

/// Reads a mask for the picture: white where the edit may act.
///
/// # Errors
///
/// As [`canvas_open`], and for a mask of another size or without any white.
pub(crate) fn mask_open(canvas: Canvas, path: &Path, limits: &Limits) -> Result<Canvas> {
    let open = || -> Result<Canvas> { Ok(canvas.with_mask(&read(path, limits)?, limits)?) };
    open().with_context(|| path.display().to_string())
}

/// Whether the name means stdin.
pub(crate) fn is_stdin(path: &Path) -> bool {
    ["-", "/dev/stdin"]
        .iter()
        .any(|name| path == Path::new(name))
}

/// Refuses what can't be with pipes, before one is read.
///
/// # Errors
///
/// [`Usage`] when both names mean stdin, and when nobody says where the result of a picture without a name goes.
pub(crate) fn pipes_check(
    image: &Path,
    mask: Option<&Path>,
    output: Option<&Path>,
) -> Result<(), Usage> {
    let unnamed = || {
        is_stdin(image)
            || fs::metadata(image).is_ok_and(|found| !found.is_file() && !found.is_dir())
    };
    if output.is_none() && unnamed() {
        return Err(Usage(
            "the picture comes from a pipe: say with -o where the result goes".to_owned(),
        ));
    }
    if is_stdin(image) && mask.is_some_and(is_stdin) {
        return Err(Usage(
            "IMAGE and --mask can't both come from stdin: name a file for one of them".to_owned(),
        ));
    }
    Ok(())
}

/// Reads a whole file, or stdin up to its end; no more than a picture may have.
///
/// # Errors
///
/// Says in one line what is wrong with it.
pub(crate) fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>> {
    if is_stdin(path) {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            bail!("stdin is a terminal: pipe a picture into the command, or name a file");
        }
        return bounded(stdin.lock(), limits);
    }
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => anyhow!("no such file"),
        _ => anyhow!("can't be read: {source}"),
    })?;
    if metadata.is_dir() {
        bail!("not a file: give a PNG, JPEG, WebP or TIFF picture");
    }
    let (bytes, bytes_max) = (metadata.len(), limits.bytes_max);
    if bytes > bytes_max {
        return Err(Error::Bytes { bytes, bytes_max }.into());
    }
    bounded(fs::File::open(path).map_err(unreadable)?, limits)
}

/// Reads to the end: pipes and devices don't say how much they have.
fn bounded(source: impl Read, limits: &Limits) -> Result<Vec<u8>> {
    let bytes_max = limits.bytes_max;
    let mut bytes = Vec::new();
    let read = source.take(bytes_max + 1).read_to_end(&mut bytes);
    let read = read.map_err(unreadable)? as u64;
    if read > bytes_max {
        return Err(Error::Bytes {
            bytes: read,
            bytes_max,
        }
        .into());
    }
    Ok(bytes)
}

fn unreadable(source: std::io::Error) -> anyhow::Error {
    anyhow!("can't be read: {source}")
}
