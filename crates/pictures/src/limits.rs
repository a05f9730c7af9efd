//! Bounds on what is read.

/// Bounds on what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the file.
    pub bytes_max: u64,
    /// Most pixels of the longer side.
    pub side_max: u32,
    /// Most pixels of the picture.
    pub pixels_max: u64,
    /// Most bytes that a decoder may allocate.
    pub decoder_bytes_max: u64,
}

impl Limits {
    /// Most pixels of the longer side, where nothing else is set.
    pub const SIDE_MAX: u32 = 12_288;
    /// Most pixels of a picture, where nothing else is set: those of the largest cameras that are not on a stand.
    pub const PIXELS_MAX: u64 = 64_000_000;
    /// For the user's own files: 1 GiB.
    pub const FILE: Self = Self::new(1 << 30, Self::SIDE_MAX, Self::PIXELS_MAX);
    /// For what clients of a server send: 32 MiB.
    pub const UPLOAD: Self = Self::new(32 << 20, Self::SIDE_MAX, Self::PIXELS_MAX);
    /// For files that someone accepted by bounds of their own. Whoever reads them sets their memory aside before.
    pub const ACCEPTED: Self = Self::new(1 << 30, 65_535, 1_000_000_000);

    /// Bounds on bytes of the file, on the longer side and on all pixels.
    pub const fn new(bytes_max: u64, side_max: u32, pixels_max: u64) -> Self {
        Self {
            bytes_max,
            side_max,
            pixels_max,
            // So many pixels of 16-bit RGBA, twice, and what else a decoder needs.
            decoder_bytes_max: pixels_max * 16 + (16 << 20),
        }
    }
}
