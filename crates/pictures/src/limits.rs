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
    /// For the user's own files: 1 GiB, 100 megapixels. The decoder's bound holds so many pixels of 16-bit RGBA.
    pub const FILE: Self = Self {
        bytes_max: 1 << 30,
        side_max: 16_384,
        pixels_max: 100_000_000,
        decoder_bytes_max: 1 << 30,
    };
    /// For what clients of a server send: 32 MiB, 40 megapixels.
    pub const UPLOAD: Self = Self {
        bytes_max: 32 << 20,
        side_max: 16_384,
        pixels_max: 40_000_000,
        decoder_bytes_max: 400 << 20,
    };
}
