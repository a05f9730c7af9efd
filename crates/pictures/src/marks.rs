//! What the pixels of a mask mean. There are two kinds, and people have files of both:
//!
//! - ours: white where to edit; what is transparent is not white
//! - OpenAI's: the picture itself, or anything in color, erased where to edit
//!
//! A mask without transparency is ours. One that is transparent in places is ours where the rest is black and white and some
//! of it white, and OpenAI's where the rest has colors, or is black. With gray tones beside transparency it is neither.

use image::{DynamicImage, GrayImage};

use crate::error::{Error, Result};

/// Channels of a gray differ by no more than this: lossy formats tint it.
const TINT: u8 = 32;
/// What is farther than this from black and from white is a gray tone.
const TONE: u8 = 48;
/// Share of the opaque pixels that may be tinted more, or gray, as edges are: one in so many.
const STRAY: u64 = 10;

/// Flags of a pixel that was read.
const WHITE: u8 = 1;
const CLEAR: u8 = 2;

/// Reads a mask's pixels as flags, and counts what tells its kind.
#[derive(Default)]
pub(crate) struct Marks {
    white: u64,
    clear: u64,
    opaque: u64,
    colored: u64,
    gray: u64,
}

impl Marks {
    /// The flags of a strip's pixels.
    pub(crate) fn read(&mut self, strip: &DynamicImage) -> Vec<u8> {
        let lightness = strip.to_luma8().into_raw();
        if !strip.color().has_alpha() {
            return lightness
                .into_iter()
                .map(|value| if value >= 128 { WHITE } else { 0 })
                .collect();
        }
        let converted;
        let pixels = match strip {
            DynamicImage::ImageRgba8(pixels) => pixels,
            other => {
                converted = other.to_rgba8();
                &converted
            }
        };
        let flags = lightness.into_iter().zip(pixels.pixels());
        flags
            .map(|(value, pixel)| {
                let [r, g, b, opacity] = pixel.0;
                if opacity < 128 {
                    self.clear += 1;
                    return CLEAR;
                }
                self.opaque += 1;
                let spread = r.max(g).max(b) - r.min(g).min(b);
                self.colored += u64::from(spread > TINT);
                self.gray += u64::from(value.min(255 - value) > TONE);
                let white = u16::from(value) * u16::from(opacity) / 255 >= 128;
                self.white += u64::from(white);
                if white { WHITE } else { 0 }
            })
            .collect()
    }

    /// Makes the flags into 255 where to edit and 0 elsewhere.
    ///
    /// # Errors
    ///
    /// When the mask is of neither kind.
    pub(crate) fn settle(&self, mask: &mut GrayImage) -> Result<()> {
        let many = |count: u64| count > self.opaque / STRAY;
        let erased = if self.clear == 0 || self.opaque == 0 {
            false
        } else if many(self.colored) {
            true
        } else if many(self.gray) {
            return Err(Error::MaskUnclear);
        } else {
            self.white == 0
        };
        let sought = if erased { CLEAR } else { WHITE };
        mask.iter_mut()
            .for_each(|flags| *flags = if *flags & sought != 0 { 255 } else { 0 });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use image::{Luma, LumaA, Rgb, Rgba};

    use super::*;

    /// What a mask of 20 x 1 pixels lets be edited, given left to right.
    fn edited(mask: impl Into<DynamicImage>) -> Result<String> {
        let mask = mask.into();
        let mut marks = Marks::default();
        let mut plane = GrayImage::from_raw(20, 1, marks.read(&mask)).unwrap();
        marks.settle(&mut plane)?;
        Ok(plane
            .iter()
            .map(|v| if *v == 255 { '#' } else { '.' })
            .collect())
    }

    /// The left half one pixel, the right half another.
    fn halves<P: image::Pixel + Copy>(
        left: P,
        right: P,
    ) -> image::ImageBuffer<P, Vec<P::Subpixel>> {
        image::ImageBuffer::from_fn(20, 1, |x, _| if x < 10 { left } else { right })
    }

    const LEFT: &str = "##########..........";
    const RIGHT: &str = "..........##########";
    const NOTHING: &str = "....................";

    #[test]
    fn without_transparency_white_is_edited() {
        assert_eq!(edited(halves(Luma([255u8]), Luma([0]))).unwrap(), LEFT);
        assert_eq!(
            edited(halves(Luma([40_000u16]), Luma([20_000]))).unwrap(),
            LEFT
        );
        assert_eq!(
            edited(halves(Rgb([255u8; 3]), Rgb([200, 0, 0]))).unwrap(),
            LEFT
        );
        assert_eq!(
            edited(halves(Rgba([255u8; 4]), Rgba([0, 0, 0, 255]))).unwrap(),
            LEFT
        );
    }

    #[test]
    fn black_and_white_beside_transparency_is_ours() {
        let clear = Rgba([255u8, 255, 255, 0]);
        assert_eq!(edited(halves(Rgba([255u8; 4]), clear)).unwrap(), LEFT);
        assert_eq!(
            edited(halves(LumaA([255u8, 255]), LumaA([0, 0]))).unwrap(),
            LEFT
        );
        // A lossy format's white.
        assert_eq!(
            edited(halves(Rgba([250u8, 255, 246, 255]), clear)).unwrap(),
            LEFT
        );
        // Black, white and clear.
        let mut three = halves(Rgba([255u8; 4]), Rgba([0, 0, 0, 255]));
        three.put_pixel(19, 0, Rgba([9, 9, 9, 0]));
        assert_eq!(edited(three).unwrap(), LEFT);
    }

    #[test]
    fn what_is_erased_from_a_picture_is_edited() {
        let clear = Rgba([0u8, 0, 0, 0]);
        assert_eq!(
            edited(halves(Rgba([200u8, 120, 30, 255]), clear)).unwrap(),
            RIGHT
        );
        // Erased from black, where nothing could be edited by its white.
        assert_eq!(
            edited(halves(Rgba([0u8, 0, 0, 255]), clear)).unwrap(),
            RIGHT
        );
        assert_eq!(
            edited(halves(LumaA([0u8, 255]), LumaA([0, 0]))).unwrap(),
            RIGHT
        );
        // The hidden colors say nothing: only what is seen does.
        let hidden = Rgba([255u8, 0, 0, 0]);
        assert_eq!(edited(halves(Rgba([255u8; 4]), hidden)).unwrap(), LEFT);
        // In 16 bits, too.
        let deep = halves(Rgba([50_000u16, 9_000, 100, u16::MAX]), Rgba([0; 4]));
        assert_eq!(edited(deep).unwrap(), RIGHT);
    }

    #[test]
    fn gray_beside_transparency_is_refused_and_nothing_is_nothing() {
        let gray = halves(LumaA([150u8, 255]), LumaA([0, 0]));
        assert!(matches!(edited(gray), Err(Error::MaskUnclear)));
        assert_eq!(
            edited(halves(Rgba([9u8, 9, 9, 0]), Rgba([0; 4]))).unwrap(),
            NOTHING
        );
        assert_eq!(edited(halves(Luma([0u8]), Luma([9]))).unwrap(), NOTHING);
    }
}
