//! Pictures from files.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use limekiln_lime::canvas::Canvas;
use limekiln_pictures::{Error, Limits};

/// Reads a picture and turns it upright.
///
/// # Errors
///
/// Says in one line what is wrong with the file.
pub(crate) fn canvas_open(path: &Path, limits: &Limits) -> Result<Canvas> {
    let open = || -> Result<Canvas> { Ok(Canvas::read(&read(path, limits)?, limits)?) };
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

fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>> {
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => anyhow!("no such file"),
        _ => anyhow!("can't be read: {source}"),
    })?;
    if !metadata.is_file() {
        bail!("not a file: give a PNG, JPEG, WebP or TIFF picture");
    }
    let (bytes, bytes_max) = (metadata.len(), limits.bytes_max);
    if bytes > bytes_max {
        return Err(Error::Bytes { bytes, bytes_max }.into());
    }
    fs::read(path).map_err(|source| anyhow!("can't be read: {source}"))
}
