//! Colors and opacity at the depth of the file that they come from.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage};

/// Three channels of 16 bits.
pub type Rgb16Image = ImageBuffer<Rgb<u16>, Vec<u16>>;
/// One channel of 16 bits.
pub type Gray16Image = ImageBuffer<Luma<u16>, Vec<u16>>;

/// Bits of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Each sample has 8 bits.
    Eight,
    /// Each sample has 16 bits.
    Sixteen,
}

impl Depth {
    /// Bytes of a sample.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
        }
    }
}

/// Three color channels a pixel, at the file's depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Colors {
    /// 8 bits a channel.
    Eight(RgbImage),
    /// 16 bits a channel.
    Sixteen(Rgb16Image),
}

/// How opaque each pixel is, at the file's depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opacity {
    /// From 0, clear, to 255, opaque.
    Eight(GrayImage),
    /// From 0, clear, to 65,535, opaque.
    Sixteen(Gray16Image),
}

impl Colors {
    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        match self {
            Self::Eight(pixels) => pixels.dimensions(),
            Self::Sixteen(pixels) => pixels.dimensions(),
        }
    }

    /// Bits of a sample.
    pub fn depth(&self) -> Depth {
        match self {
            Self::Eight(_) => Depth::Eight,
            Self::Sixteen(_) => Depth::Sixteen,
        }
    }

    /// The samples of row `y`, stretched to 16 bits.
    pub fn row(&self, y: u32) -> Vec<u16> {
        let samples = self.size().0 as usize * 3;
        let at = y as usize * samples;
        match self {
            Self::Eight(pixels) => pixels.as_raw()[at..at + samples]
                .iter()
                .map(|v| deep(*v))
                .collect(),
            Self::Sixteen(pixels) => pixels.as_raw()[at..at + samples].to_vec(),
        }
    }

    pub(crate) fn upright(self, orientation: Orientation) -> Self {
        match self {
            Self::Eight(pixels) => Self::Eight(turned(pixels.into(), orientation).into_rgb8()),
            Self::Sixteen(pixels) => Self::Sixteen(turned(pixels.into(), orientation).into_rgb16()),
        }
    }
}

impl From<RgbImage> for Colors {
    fn from(pixels: RgbImage) -> Self {
        Self::Eight(pixels)
    }
}

impl Opacity {
    /// Opacity in 8 bits.
    pub fn to_eight(&self) -> GrayImage {
        match self {
            Self::Eight(values) => values.clone(),
            Self::Sixteen(values) => {
                ImageBuffer::from_fn(values.width(), values.height(), |x, y| {
                    Luma([shallow(values.get_pixel(x, y).0[0])])
                })
            }
        }
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        match self {
            Self::Eight(values) => values.dimensions(),
            Self::Sixteen(values) => values.dimensions(),
        }
    }

    /// The values of row `y`, stretched to 16 bits.
    pub(crate) fn row(&self, y: u32) -> Vec<u16> {
        let width = self.size().0 as usize;
        let at = y as usize * width;
        match self {
            Self::Eight(values) => values.as_raw()[at..at + width]
                .iter()
                .map(|v| deep(*v))
                .collect(),
            Self::Sixteen(values) => values.as_raw()[at..at + width].to_vec(),
        }
    }

    pub(crate) fn upright(self, orientation: Orientation) -> Self {
        match self {
            Self::Eight(values) => Self::Eight(turned(values.into(), orientation).into_luma8()),
            Self::Sixteen(values) => {
                Self::Sixteen(turned(values.into(), orientation).into_luma16())
            }
        }
    }
}

fn turned(mut image: DynamicImage, orientation: Orientation) -> DynamicImage {
    image.apply_orientation(orientation);
    image
}

/// 8 bits as 16: 255 is 65535.
pub(crate) fn deep(value: u8) -> u16 {
    u16::from(value) * 257
}

/// 16 bits as 8, to the nearest.
pub(crate) fn shallow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}
