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

    fn take_icc(&mut self, icc: Vec<u8>) {
        if icc.len() > ICC_BYTES_MAX {
            self.warn(too_large());
        } else if self.icc.is_none() {
            self.icc = Some(icc);
        }
    }

    fn take_exif(&mut self, exif: &[u8]) {
        if exif.len() > PACKET_BYTES_MAX {
            self.warn(Warning::Dropped("the EXIF metadata is larger than 4 MiB"));
        } else if self.exif.is_none() {
            self.exif = Some(exif.to_vec());
        }
    }

    fn take_xmp(&mut self, xmp: &[u8]) {
        if xmp.len() > PACKET_BYTES_MAX {
            self.warn(Warning::Dropped("the XMP metadata is larger than 4 MiB"));
        } else if self.xmp.is_none() {
            self.xmp = Some(xmp.to_vec());
        }
    }
}

fn too_large() -> Warning {
    Warning::Profile(format!("it is larger than {} MiB", ICC_BYTES_MAX >> 20))
}
