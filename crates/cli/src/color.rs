//! The color of an edit, from its flags: a value, a swatch, or a name of a palette.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use limekiln_finish::color::{Palette, swatch};
use limekiln_pictures::{Limits, Original};

use crate::args::ColorArgs;
use crate::input;
use crate::settings::Usage;

/// Most bytes of a palette.
const PALETTE_BYTES: u64 = 1 << 20;

/// The color as a value that the API takes too; none where none is given.
///
/// # Errors
///
/// Says what is wrong with the swatch or the palette. A value itself is read later.
pub(crate) fn color(args: &ColorArgs) -> Result<Option<String>> {
    let Some(color) = &args.color else {
        return Ok(None);
    };
    if let Some(path) = &args.palette {
        return named(path, color).map(Some);
    }
    match color.strip_prefix('@') {
        Some(path) => shown(Path::new(path)).map(Some),
        None => Ok(Some(color.clone())),
    }
}

fn named(palette: &Path, name: &str) -> Result<String> {
    let path = || format!("--palette {}", palette.display());
    let bytes = fs::metadata(palette).with_context(path)?.len();
    if bytes > PALETTE_BYTES {
        let says = format!(
            "{}: it has {bytes} bytes: a palette has a name and a color a line",
            path()
        );
        return Err(Usage(says).into());
    }
    let text = fs::read_to_string(palette).with_context(path)?;
    let wrong = |error: limekiln_finish::Error| Usage(format!("{}: {error}", path()));
    let color = Palette::parse(&text)
        .map_err(wrong)?
        .get(name)
        .map_err(wrong)?;
    Ok(color.to_string())
}

fn shown(path: &Path) -> Result<String> {
    let label = || format!("--color @{}", path.display());
    let limits = Limits::FILE;
    let (original, _) = input::read(path, &limits)
        .and_then(|file| Ok(Original::read(&file, &limits)?))
        .with_context(label)?;
    let color =
        swatch(&original.into_picture()).map_err(|error| Usage(format!("{}: {error}", label())))?;
    Ok(color.to_string())
}
