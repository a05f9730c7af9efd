//! What containers hold beside the pixels: profiles, EXIF, XMP, resolution. Read by walking over chunks or segments, so that
//! nothing is inflated or copied that is larger than it may be.
//!
//! # Layout
//!
//! - `png`, `jpeg`, `webp`, `tiff`: each container's way to hold them
//! - `tags`, `exif`: directories of tags; EXIF, patched in place
//! - `resolution`: how large pixels are, and how a picture is stored
//! - `warning`: what of a file does not go through

mod exif;
pub(crate) mod jpeg;
pub(crate) mod png;
mod resolution;
mod tags;
pub(crate) mod tiff;
mod warning;
pub(crate) mod webp;

use std::borrow::Cow;

pub(crate) use exif::{ColorSpace, Exif};
pub(crate) use resolution::is_turned;
pub use resolution::{Length, Resolution};
pub use warning::Warning;

/// Most bytes of a color profile. Those of cameras, screens and presses have at most 3 MB.
pub(crate) const ICC_BYTES_MAX: usize = 4 << 20;
/// Most bytes of EXIF, and of XMP.
pub(crate) const PACKET_BYTES_MAX: usize = 4 << 20;

/// What a container holds, as it is stored.
#[derive(Default)]
pub(crate) struct Packets {
    pub(crate) icc: Option<Vec<u8>>,
    /// PNG's cICP: primaries, transfer, matrix, range.
    pub(crate) cicp: Option<[u8; 4]>,
    /// PNG's sRGB chunk.
    pub(crate) srgb: bool,
    /// PNG's gAMA: a hundred thousand times the exponent of encoding.
    pub(crate) gamma: Option<u32>,
    /// PNG's cHRM: x and y of white, red, green and blue, a hundred thousand times.
    pub(crate) chromaticities: Option<[u32; 8]>,
    pub(crate) exif: Option<Vec<u8>>,
    pub(crate) xmp: Option<Vec<u8>>,
    /// Of the picture as stored.
    pub(crate) resolution: Option<Resolution>,
    pub(crate) warnings: Vec<Warning>,
    /// Whether there was a profile, and XMP. Only the first of each is looked at: a file may hold many that unpack to much.
    icc_seen: bool,
    xmp_seen: bool,
}

impl Packets {
    pub(crate) fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        let packets = [&self.icc, &self.exif, &self.xmp];
        packets
            .into_iter()
            .flatten()
            .map(|packet| packet.len() as u64)
            .sum()
    }

    /// Takes a profile, unless there was one.
    fn take_icc<'a>(&mut self, icc: impl FnOnce() -> Result<Cow<'a, [u8]>, &'static str>) {
        if std::mem::replace(&mut self.icc_seen, true) {
            return;
        }
        match icc() {
            Ok(icc) if icc.len() > ICC_BYTES_MAX => self.warn(too_large()),
            Ok(icc) => self.icc = Some(icc.into_owned()),
            Err(reason) => self.warn(Warning::Profile(reason.to_owned())),
        }
    }

    fn take_exif(&mut self, exif: &[u8]) {
        if exif.len() > PACKET_BYTES_MAX {
            self.warn(Warning::Dropped("the EXIF metadata is larger than 4 MiB"));
        } else if self.exif.is_none() {
            self.exif = Some(exif.to_vec());
        }
    }

    /// Takes XMP, unless there was any.
    fn take_xmp<'a>(&mut self, xmp: impl FnOnce() -> Option<Cow<'a, [u8]>>) {
        if std::mem::replace(&mut self.xmp_seen, true) {
            return;
        }
        match xmp() {
            Some(xmp) if xmp.len() > PACKET_BYTES_MAX => {
                self.warn(Warning::Dropped("the XMP metadata is larger than 4 MiB"));
            }
            Some(xmp) => self.xmp = Some(xmp.into_owned()),
            None => self.warn(Warning::Metadata("XMP")),
        }
    }
}

fn too_large() -> Warning {
    Warning::Profile(format!("it is larger than {} MiB", ICC_BYTES_MAX >> 20))
}
