//! Pictures from files.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use image::GrayImage;
use limekiln_pictures::{Error, Limits, Picture, decode, mask_decode};

/// Reads a PNG, JPEG or WebP picture and turns it upright.
///
/// # Errors
///
/// Says in one line what is wrong with the file.
pub(crate) fn picture_open(path: &Path) -> Result<Picture> {
    let open = || -> Result<Picture> { Ok(decode(&read(path)?, &Limits::FILE)?) };
    open().with_context(|| path.display().to_string())
}

/// Reads a mask of a picture's `size`: white where the edit may act.
///
/// # Errors
///
/// As [`picture_open`], and for a mask of another size or without any white.
pub(crate) fn mask_open(path: &Path, size: (u32, u32)) -> Result<GrayImage> {
    let open = || -> Result<GrayImage> { Ok(mask_decode(&read(path)?, size, &Limits::FILE)?) };
    open().with_context(|| path.display().to_string())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => anyhow!("no such file"),
        _ => anyhow!("can't be read: {source}"),
    })?;
    if !metadata.is_file() {
        bail!("not a file: give a PNG, JPEG or WebP picture");
    }
    let (bytes, bytes_max) = (metadata.len(), Limits::FILE.bytes_max);
    if bytes > bytes_max {
        return Err(Error::Bytes { bytes, bytes_max }.into());
    }
    fs::read(path).map_err(|source| anyhow!("can't be read: {source}"))
}
