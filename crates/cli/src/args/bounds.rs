//! Bounds on the size of pictures.

use clap::Args;
use limekiln_pictures::Limits;

/// Bounds on the size of pictures.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct BoundsArgs {
    /// Largest picture that is read, in megapixels
    #[arg(long, value_name = "N", env = "LIMEKILN_MEGAPIXELS_MAX", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) megapixels_max: u32,

    /// Longest side of a picture that is read, in pixels
    #[arg(long, value_name = "PX", env = "LIMEKILN_SIDE_MAX", default_value_t = Limits::SIDE_MAX, value_parser = clap::value_parser!(u32).range(64..=65_535))]
    pub(crate) side_max: u32,
}

impl BoundsArgs {
    /// Most pixels of a picture.
    pub(crate) fn pixels_max(self) -> u64 {
        u64::from(self.megapixels_max) * 1_000_000
    }

    /// Bounds on the user's own files.
    pub(crate) fn limits(self) -> Limits {
        Limits::new(Limits::FILE.bytes_max, self.side_max, self.pixels_max())
    }
}
