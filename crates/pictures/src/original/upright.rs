//! A picture with what its file says, and what is made of it.

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, RgbImage};

use super::metadata::Metadata;
use super::samples::{Colors, Depth, Opacity, shallow};
use super::space::Space;
use crate::format::Format;
use crate::picture::Picture;
use crate::resize::Enlarged;

/// A picture as its file holds it, upright.
#[derive(Clone, Debug, PartialEq)]
pub struct Original {
    /// Colors at the file's depth, in `space`. Gray and CMYK pictures were converted to sRGB.
    pub colors: Colors,
    /// Opacity at the file's depth; none where every pixel is opaque. What transparent pixels hide is still in `colors`.
    pub alpha: Option<Opacity>,
    /// What the colors mean.
    pub space: Space,
    /// What the file says beside its pixels.
    pub metadata: Metadata,
    /// The file's format, by its content.
    pub format: Format,
}

impl Original {
    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        self.colors.size()
    }

    /// Bits of a color sample.
    pub fn depth(&self) -> Depth {
        self.colors.depth()
    }

    /// The picture as a model sees it: 8 bits, sRGB, transparency beside it.
    pub fn picture(&self) -> Picture {
        Picture {
            rgb: self.srgb(),
            alpha: self.alpha.as_ref().map(Opacity::to_eight),
        }
    }

    /// The same of an original that is not needed any more: nothing is copied where it is 8 bits in sRGB.
    pub fn into_picture(self) -> Picture {
        match self {
            Self {
                colors: Colors::Eight(rgb),
                alpha,
                space,
                ..
            } if space.is_srgb() => Picture {
                rgb,
                alpha: alpha.map(|alpha| match alpha {
                    Opacity::Eight(values) => values,
                    Opacity::Sixteen(_) => alpha.to_eight(),
                }),
            },
            other => other.picture(),
        }
    }

    /// The colors in 8 bits and sRGB, as they look on white paper.
    pub fn on_white(&self) -> RgbImage {
        let mut out = self.srgb();
        if let Some(alpha) = &self.alpha {
            let width = out.width() as usize * 3;
            for (y, row) in out.chunks_exact_mut(width.max(1)).enumerate() {
                for (pixel, alpha) in row.chunks_exact_mut(3).zip(alpha.row(y as u32)) {
                    let alpha = u32::from(shallow(alpha));
                    for value in pixel {
                        *value =
                            ((u32::from(*value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
                    }
                }
            }
        }
        out
    }

    /// The colors in 8 bits and sRGB.
    fn srgb(&self) -> RgbImage {
        let (width, height) = self.size();
        let samples = width as usize * 3;
        let mut out = RgbImage::new(width, height);
        let rows = out.chunks_exact_mut(samples.max(1));
        match &self.colors {
            Colors::Eight(pixels) if self.space.is_srgb() => return pixels.clone(),
            Colors::Eight(pixels) => {
                for (row, out) in pixels.as_raw().chunks_exact(samples.max(1)).zip(rows) {
                    self.space.shallow_to_srgb(row, out);
                }
            }
            Colors::Sixteen(pixels) => {
                for (row, out) in pixels.as_raw().chunks_exact(samples.max(1)).zip(rows) {
                    self.space.deep_to_srgb(row, out);
                }
            }
        }
        out
    }

    /// Other colors of this picture's size, depth and space, with its transparency and metadata.
    pub fn recolored(&self, colors: Colors) -> Self {
        Self {
            colors,
            alpha: self.alpha.clone(),
            space: self.space.clone(),
            metadata: self.metadata.clone(),
            format: self.format,
        }
    }

    /// Other colors, of any size and in sRGB, in this picture's space and at its depth, with its transparency and metadata.
    pub fn with_colors(&self, edited: &Colors) -> Self {
        let (width, height) = edited.size();
        let colors = match (&self.colors, edited) {
            (Colors::Eight(_), Colors::Eight(edited)) if self.space.is_srgb() => {
                Colors::Eight(edited.clone())
            }
            (kind, edited) => {
                let rows = (0..height).flat_map(|y| self.space.deep_from_srgb(edited.row(y)));
                kind.depth().collect(width, height, rows)
            }
        };
        Self {
            colors,
            alpha: self.alpha.as_ref().map(|alpha| sized(alpha, width, height)),
            space: self.space.clone(),
            metadata: self.metadata.clone(),
            format: self.format,
        }
    }

    /// The same picture at another size.
    pub fn resized(mut self, (width, height): (u32, u32)) -> Self {
        let enlarged = match &self.alpha {
            Some(alpha) => Enlarged::seen(&self.colors, alpha, (width, height)),
            None => Enlarged::new(&self.colors, width, height),
        };
        let rows = (0..height).flat_map(|y| enlarged.row(y));
        self.colors = self.depth().collect(width, height, rows);
        self.alpha = self.alpha.map(|alpha| sized(&alpha, width, height));
        self
    }

    /// The same picture laid on white, for formats without transparency.
    pub fn flat(mut self) -> Self {
        let Some(alpha) = self.alpha.take() else {
            return self;
        };
        let (width, height) = self.size();
        let colors = &self.colors;
        let samples = (0..height).flat_map(|y| {
            let alphas = alpha.row(y).into_iter().flat_map(|alpha| [alpha; 3]);
            let row = colors.row(y).into_iter().zip(alphas);
            row.map(|(value, alpha)| {
                let (value, alpha, whole) =
                    (u64::from(value), u64::from(alpha), u64::from(u16::MAX));
                ((value * alpha + whole * (whole - alpha) + whole / 2) / whole) as u16
            })
        });
        self.colors = colors.depth().collect(width, height, samples);
        self
    }

    /// The same picture without EXIF, XMP and resolution. The profile stays: without it the colors would be others.
    pub fn without_metadata(mut self) -> Self {
        self.metadata = Metadata {
            stored: self.metadata.stored,
            ..Metadata::default()
        };
        self
    }
}

/// Opaque, 8 bits, sRGB.
impl From<RgbImage> for Original {
    fn from(rgb: RgbImage) -> Self {
        Picture::from(rgb).into()
    }
}

/// 8 bits, sRGB.
impl From<Picture> for Original {
    fn from(picture: Picture) -> Self {
        Self {
            colors: Colors::Eight(picture.rgb),
            alpha: picture.alpha.map(Opacity::Eight),
            space: Space::SRGB,
            metadata: Metadata::default(),
            format: Format::Png,
        }
    }
}

impl Depth {
    /// Colors of this depth from samples of 16 bits.
    pub(crate) fn collect(
        self,
        width: u32,
        height: u32,
        samples: impl Iterator<Item = u16>,
    ) -> Colors {
        let count = width as usize * height as usize * 3;
        match self {
            Self::Eight => {
                let mut values = Vec::with_capacity(count);
                values.extend(samples.map(shallow));
                values.resize(count, 0);
                Colors::Eight(ImageBuffer::from_raw(width, height, values).unwrap_or_default())
            }
            Self::Sixteen => {
                let mut values = Vec::with_capacity(count);
                values.extend(samples);
                values.resize(count, 0);
                Colors::Sixteen(ImageBuffer::from_raw(width, height, values).unwrap_or_default())
            }
        }
    }
}

fn sized(alpha: &Opacity, width: u32, height: u32) -> Opacity {
    if alpha.size() == (width, height) {
        return alpha.clone();
    }
    match alpha {
        Opacity::Eight(values) => {
            let resized: GrayImage = imageops::resize(values, width, height, FilterType::Lanczos3);
            Opacity::Eight(resized)
        }
        Opacity::Sixteen(values) => Opacity::Sixteen(imageops::resize(
            values,
            width,
            height,
            FilterType::Lanczos3,
        )),
    }
}
