//! What an edit changed, alone: a rectangle and its matte, to be laid over the picture that was edited.
//!
//! Its file is a PNG whose opacity is the matte, at the picture's depth; the chunk `oFFs` says where it lies. Pixels of the matte 0
//! are not the edit's, and stay whatever they are in the picture below.

use image::{DynamicImage, GrayImage, ImageBuffer, Pixel, Rgb, Rgba};
use png::{BitDepth, ColorType, Encoder};

use crate::error::{Error, Result};
use crate::original::{Colors, Depth, Original, deep, shallow};

/// A changed rectangle. Where nothing was changed, it is one pixel that is not the edit's.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    left: u32,
    top: u32,
    colors: Colors,
    matte: GrayImage,
}

impl Patch {
    /// What `result` has inside `matte`; none where more than that could differ from the picture that was edited.
    pub fn of(before: &Original, result: &Original, matte: &GrayImage) -> Option<Self> {
        let alike = before.size() == result.size()
            && matte.dimensions() == result.size()
            && before.depth() == result.depth()
            && before.space == result.space
            && before.metadata == result.metadata
            && before.alpha == result.alpha;
        if !alike {
            return None;
        }
        let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
        for (x, y, pixel) in matte.enumerate_pixels() {
            if pixel.0[0] != 0 {
                (left, right) = (left.min(x), right.max(x));
                (top, bottom) = (top.min(y), bottom.max(y));
            }
        }
        if left > right {
            (left, top) = (0, 0);
        }
        let size = (right - left + 1, bottom - top + 1);
        let colors = match &result.colors {
            Colors::Eight(pixels) => Colors::Eight(crop(pixels, (left, top), size)),
            Colors::Sixteen(pixels) => Colors::Sixteen(crop(pixels, (left, top), size)),
        };
        Some(Self {
            left,
            top,
            colors,
            matte: crop(matte, (left, top), size),
        })
    }

    /// Width and height of the rectangle.
    pub fn size(&self) -> (u32, u32) {
        self.matte.dimensions()
    }

    /// As a file.
    ///
    /// # Errors
    ///
    /// When the encoder refuses.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mattes = self.matte.iter();
        let mut samples = Vec::new();
        match &self.colors {
            Colors::Eight(pixels) => {
                for (pixel, matte) in pixels.pixels().zip(mattes) {
                    samples.extend_from_slice(&pixel.0);
                    samples.push(*matte);
                }
            }
            Colors::Sixteen(pixels) => {
                for (pixel, matte) in pixels.pixels().zip(mattes) {
                    let all = pixel.0.into_iter().chain([deep(*matte)]);
                    samples.extend(all.flat_map(u16::to_be_bytes));
                }
            }
        }
        self.written(&samples).map_err(|error| Error::Encode {
            format: "PNG",
            reason: error.to_string(),
        })
    }

    fn written(&self, samples: &[u8]) -> std::result::Result<Vec<u8>, png::EncodingError> {
        let mut file = Vec::new();
        let (width, height) = self.size();
        let mut encoder = Encoder::new(&mut file, width, height);
        encoder.set_color(ColorType::Rgba);
        encoder.set_depth(match self.colors.depth() {
            Depth::Eight => BitDepth::Eight,
            Depth::Sixteen => BitDepth::Sixteen,
        });
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::Adaptive);
        let mut writer = encoder.write_header()?;
        let mut place = [0; 9];
        place[..4].copy_from_slice(&self.left.to_be_bytes());
        place[4..8].copy_from_slice(&self.top.to_be_bytes());
        writer.write_chunk(png::chunk::ChunkType(*OFFSET), &place)?;
        writer.write_image_data(samples)?;
        writer.finish()?;
        Ok(file)
    }

    /// The reverse of [`Patch::png`].
    ///
    /// # Errors
    ///
    /// For what is no such file.
    pub fn read(file: &[u8]) -> Result<Self> {
        let damaged = |reason: &str| Error::Damaged {
            format: "PNG",
            reason: reason.to_owned(),
        };
        // It is the first chunk after the header.
        let place = file
            .get(37..49)
            .and_then(|chunk| chunk.strip_prefix(OFFSET));
        let Some(&[a, b, c, d, e, f, g, h]) = place else {
            return Err(damaged("it does not say where it lies"));
        };
        let read = image::load_from_memory_with_format(file, image::ImageFormat::Png);
        let (colors, matte) = match read.map_err(|error| damaged(&error.to_string()))? {
            DynamicImage::ImageRgba8(pixels) => {
                let (colors, matte) = apart(&pixels);
                (Colors::Eight(colors), matte)
            }
            DynamicImage::ImageRgba16(pixels) => {
                let (colors, matte) = apart(&pixels);
                let shallow = matte.iter().map(|value| shallow(*value)).collect();
                let matte = GrayImage::from_raw(matte.width(), matte.height(), shallow);
                (Colors::Sixteen(colors), matte.unwrap_or_default())
            }
            _ => return Err(damaged("it has no opacity")),
        };
        Ok(Self {
            left: u32::from_be_bytes([a, b, c, d]),
            top: u32::from_be_bytes([e, f, g, h]),
            colors,
            matte,
        })
    }

    /// Lays it over the picture that was edited.
    ///
    /// # Errors
    ///
    /// Where it is of another picture.
    pub fn lay(&self, picture: &mut Original) -> Result<()> {
        self.fits(picture.size())?;
        let at = (self.left, self.top);
        match (&mut picture.colors, &self.colors) {
            (Colors::Eight(below), Colors::Eight(pixels)) => lay(below, pixels, &self.matte, at),
            (Colors::Sixteen(below), Colors::Sixteen(pixels)) => {
                lay(below, pixels, &self.matte, at);
            }
            _ => return Err(other("of another depth")),
        }
        Ok(())
    }

    /// Adds its matte to one of the whole picture's size.
    ///
    /// # Errors
    ///
    /// Where it is of another picture.
    pub fn lay_matte(&self, union: &mut GrayImage) -> Result<()> {
        self.fits(union.dimensions())?;
        for (x, y, value) in self.matte.enumerate_pixels() {
            let below = union.get_pixel_mut(self.left + x, self.top + y);
            below.0[0] = below.0[0].max(value.0[0]);
        }
        Ok(())
    }

    fn fits(&self, (width, height): (u32, u32)) -> Result<()> {
        let ends = |from: u32, side: u32, whole: u32| {
            from.checked_add(side).is_some_and(|end| end <= whole)
        };
        let size = self.size();
        match ends(self.left, size.0, width) && ends(self.top, size.1, height) {
            true => Ok(()),
            false => Err(other("larger")),
        }
    }
}

const OFFSET: &[u8; 4] = b"oFFs";

fn other(how: &str) -> Error {
    Error::Damaged {
        format: "PNG",
        reason: format!("the changed rectangle is {how} than the picture"),
    }
}

fn crop<P: Pixel>(
    pixels: &ImageBuffer<P, Vec<P::Subpixel>>,
    (left, top): (u32, u32),
    (width, height): (u32, u32),
) -> ImageBuffer<P, Vec<P::Subpixel>> {
    ImageBuffer::from_fn(width, height, |x, y| *pixels.get_pixel(left + x, top + y))
}

type Buffer<P, T> = ImageBuffer<P, Vec<T>>;

/// Colors and opacity.
fn apart<T>(pixels: &Buffer<Rgba<T>, T>) -> (Buffer<Rgb<T>, T>, Buffer<image::Luma<T>, T>)
where
    T: image::Primitive,
    Rgba<T>: Pixel<Subpixel = T>,
    Rgb<T>: Pixel<Subpixel = T>,
    image::Luma<T>: Pixel<Subpixel = T>,
{
    let (width, height) = pixels.dimensions();
    let colors = ImageBuffer::from_fn(width, height, |x, y| {
        let [red, green, blue, _] = pixels.get_pixel(x, y).0;
        Rgb([red, green, blue])
    });
    let matte = ImageBuffer::from_fn(width, height, |x, y| {
        image::Luma([pixels.get_pixel(x, y).0[3]])
    });
    (colors, matte)
}

fn lay<P: Pixel>(
    below: &mut ImageBuffer<P, Vec<P::Subpixel>>,
    pixels: &ImageBuffer<P, Vec<P::Subpixel>>,
    matte: &GrayImage,
    (left, top): (u32, u32),
) {
    for ((x, y, pixel), matte) in pixels.enumerate_pixels().zip(matte.iter()) {
        if *matte != 0 {
            below.put_pixel(left + x, top + y, *pixel);
        }
    }
}

/// A picture that edits were made of one after another, as files: the first one's input, and what each edit changed.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a, T> {
    /// File of the picture that lies below all patches.
    pub base: &'a [u8],
    /// The patches, the first edit's first.
    pub patches: &'a [T],
}

impl<T: AsRef<[u8]>> Layers<'_, T> {
    /// The picture with all patches, and where any of them is.
    ///
    /// # Errors
    ///
    /// For a file that can't be read, and a patch of another picture.
    pub fn picture(&self, limits: &crate::Limits) -> Result<(Original, GrayImage)> {
        let (mut picture, _) = Original::read(self.base, limits)?;
        let (width, height) = picture.size();
        let mut union = GrayImage::new(width, height);
        for patch in self.patches {
            let patch = Patch::read(patch.as_ref())?;
            patch.lay(&mut picture)?;
            patch.lay_matte(&mut union)?;
        }
        Ok((picture, union))
    }
}

#[cfg(test)]
mod tests {
    use image::{Luma, RgbImage};

    use super::*;
    use crate::original::Opacity;
    use crate::{Format, Limits};

    fn picture(deep_samples: bool) -> Original {
        let shade = |x: u32, y: u32| (x * 7 + y * 13) as u8;
        let rgb = RgbImage::from_fn(20, 10, |x, y| Rgb([shade(x, y), x as u8, y as u8]));
        let mut original = Original::from(rgb.clone());
        if deep_samples {
            original.colors = Colors::Sixteen(DynamicImage::from(rgb).into_rgb16());
        }
        let opacity = GrayImage::from_pixel(20, 10, Luma([9]));
        original.alpha = Some(if deep_samples {
            Opacity::Sixteen(DynamicImage::from(opacity).into_luma16())
        } else {
            Opacity::Eight(opacity)
        });
        original
    }

    #[test]
    fn turns_laid_over_the_picture_are_the_last_result() {
        for deep_samples in [false, true] {
            let root = picture(deep_samples);
            let mut now = root.clone();
            let (mut patches, mut want) = (Vec::new(), GrayImage::new(20, 10));
            for turn in 0..5u32 {
                let before = now.clone();
                let mut matte = GrayImage::new(20, 10);
                for (x, y) in [(turn * 3, turn), (turn * 3 + 2, turn + 4)] {
                    let value = 255 - turn as u8 * 60;
                    matte.put_pixel(x, y, Luma([value]));
                    want.put_pixel(x, y, Luma([value.max(want.get_pixel(x, y).0[0])]));
                    match &mut now.colors {
                        Colors::Eight(pixels) => pixels.put_pixel(x, y, Rgb([turn as u8, 3, 200])),
                        Colors::Sixteen(pixels) => {
                            pixels.put_pixel(x, y, Rgb([turn as u16, 777, 60_000]));
                        }
                    }
                }
                let patch = Patch::of(&before, &now, &matte).unwrap();
                assert_eq!(patch.size(), (3, 5));
                let file = patch.png().unwrap();
                assert_eq!(Patch::read(&file).unwrap(), patch);
                patches.push(file);
            }
            let base = root.encode(Format::Png).unwrap();
            let layers = Layers {
                base: &base,
                patches: &patches,
            };
            let (made, union) = layers.picture(&Limits::ACCEPTED).unwrap();
            assert_eq!((&made.colors, &made.alpha), (&now.colors, &now.alpha));
            assert_eq!(union, want);
        }
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        let before = picture(false);
        let nothing = Patch::of(&before, &before, &GrayImage::new(20, 10)).unwrap();
        assert_eq!(nothing.size(), (1, 1));
        let mut same = before.clone();
        nothing.lay(&mut same).unwrap();
        assert_eq!(same, before);
        let mut small = Original::from(RgbImage::new(3, 3));
        let matte = GrayImage::from_pixel(20, 10, Luma([255]));
        let whole = Patch::of(&before, &before, &matte).unwrap();
        assert!(whole.lay(&mut small).is_err());
        assert!(Patch::of(&before, &small, &matte).is_none());
        assert!(Patch::read(&before.encode(Format::Png).unwrap()).is_err());
        assert!(Patch::read(b"").is_err());
    }
}
