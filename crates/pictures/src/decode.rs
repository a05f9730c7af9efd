//! Pictures from bytes, turned upright. Dimensions are checked before a pixel is decoded, so that a small
//! file can't claim the memory of a huge picture; and a [`Probe`] says how much memory each way to read the file takes, so
//! that it can be set aside before.

use image::{DynamicImage, GrayImage, ImageBuffer};

use crate::error::{Error, Result};
use crate::format::Format;
use crate::head::{Head, Pixels, explain};
use crate::limits::Limits;
use crate::marks::Marks;
use crate::original::{Colors, Depth, Kind, Opacity, Original, ToSrgb, Told, Warning, shallow};
use crate::picture::Picture;

/// What a file's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The file's format, by its content and not by its name.
    pub format: Format,
    /// Width of the upright picture, in pixels.
    pub width: u32,
    /// Height of the upright picture, in pixels.
    pub height: u32,
    /// Most bytes that [`check`] holds at once beside the file.
    pub check_bytes: u64,
    /// Most bytes that [`Original::read`], [`mask_decode`], [`matte_decode`] or [`opacity_decode`] holds at once beside the file, its result
    /// included.
    pub decode_bytes: u64,
    /// Bytes of the picture that [`Original::read`] returns, at most.
    pub picture_bytes: u64,
    /// Bits of its samples.
    pub depth: Depth,
}

/// Reads the head of a picture and decodes no pixel.
///
/// # Errors
///
/// For a file that is no such picture or is beyond the limits; damage after the head goes unnoticed.
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Probe> {
    let head = Head::read(bytes, limits)?;
    let (mut width, mut height) = head.size;
    let area = u64::from(width) * u64::from(height);
    let held = head.held_bytes();
    let picture_bytes = area * head.depth.bytes() * if head.alpha { 4 } else { 3 } + held;
    // Turning makes a copy of one of colors and transparency at a time.
    let copy = match head.is_turned() {
        true => 3 * area * head.depth.bytes(),
        false => 0,
    };
    if head.is_turned() {
        (width, height) = (height, width);
    }
    Ok(Probe {
        format: head.format,
        width,
        height,
        check_bytes: head.check_bytes,
        decode_bytes: (head.decoder_bytes + picture_bytes).max(picture_bytes + copy),
        picture_bytes,
        depth: head.depth,
    })
}

/// Decodes a picture and keeps none of it, so that whoever decodes it later finds it sound.
///
/// # Errors
///
/// As [`decode`].
pub fn check(bytes: &[u8], limits: &Limits) -> Result<()> {
    match Head::read(bytes, limits)? {
        Head {
            pixels: Pixels::Rows(rows),
            ..
        } => rows.check(),
        head => strips(head, None, |_| {}),
    }
}

/// Reads a picture as a model sees it: upright, 8 bits, sRGB.
///
/// # Errors
///
/// As [`Original::read`].
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture> {
    Ok(Original::read(bytes, limits)?.0.into_picture())
}

impl Original {
    /// Reads a picture and turns it upright, and says what of its file does not go through. A function of the bytes alone.
    ///
    /// # Errors
    ///
    /// For a file that is no picture of a kind that is read, is damaged, or is beyond the limits.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<(Self, Vec<Warning>)> {
        let mut head = Head::read(bytes, limits)?;
        let (size, orientation, format) = (head.size, head.orientation, head.format);
        let Told {
            space,
            to_srgb,
            metadata,
            warnings,
        } = Told::new(std::mem::take(&mut head.packets), head.kind);
        let way = to_srgb.as_ref();
        let (colors, alpha) = match head.depth {
            Depth::Eight => {
                let colors = |strip: DynamicImage, way: Option<&ToSrgb>| match way {
                    None => strip.into_rgb8().into_raw(),
                    Some(way) => way
                        .pixels(&strip.into_luma16())
                        .into_iter()
                        .map(shallow)
                        .collect(),
                };
                let (colors, alpha) = planes(head, way, colors, opacity_of, u8::MAX)?;
                let alpha = alpha.map(|alpha| made(size, alpha).map(Opacity::Eight));
                (Colors::Eight(made(size, colors)?), alpha)
            }
            Depth::Sixteen => {
                let colors = |strip: DynamicImage, way: Option<&ToSrgb>| match way {
                    None => strip.into_rgb16().into_raw(),
                    Some(way) => way.pixels(&strip.into_luma16()),
                };
                let (colors, alpha) = planes(head, way, colors, deep_opacity_of, u16::MAX)?;
                let alpha = alpha.map(|alpha| made(size, alpha).map(Opacity::Sixteen));
                (Colors::Sixteen(made(size, colors)?), alpha)
            }
        };
        let original = Self {
            colors: colors.upright(orientation),
            alpha: alpha.transpose()?.map(|alpha| alpha.upright(orientation)),
            space,
            metadata,
            format,
        };
        Ok((original, warnings))
    }
}

/// The values of all colors and, where not every pixel is opaque, of all opacities. Gray goes to sRGB by `way`.
fn planes<T: Copy + PartialEq>(
    head: Head<'_>,
    way: Option<&ToSrgb>,
    colors: impl Fn(DynamicImage, Option<&ToSrgb>) -> Vec<T>,
    alphas: impl Fn(&DynamicImage) -> Vec<T>,
    opaque: T,
) -> Result<(Vec<T>, Option<Vec<T>>)> {
    let gray = way.filter(|_| head.kind == Kind::Gray);
    let (mut color, mut opacity) = (Plane::new(head.size, 3), Plane::new(head.size, 1));
    strips(head, way, |strip| {
        if strip.color().has_alpha() {
            opacity.add(alphas(&strip));
        }
        color.add(colors(strip, gray));
    })?;
    let seen = opacity.values.iter().any(|value| *value != opaque);
    Ok((color.values, seen.then_some(opacity.values)))
}

fn made<P: image::Pixel>(
    (width, height): (u32, u32),
    values: Vec<P::Subpixel>,
) -> Result<ImageBuffer<P, Vec<P::Subpixel>>> {
    ImageBuffer::from_raw(width, height, values).ok_or_else(short)
}

/// Reads a mask, which must have the picture's `size`: white where the edit may act, from 128 on. What is transparent is not
/// white, unless the rest shows that the mask is of OpenAI's kind, transparent where the edit may act: it has colors, or no
/// white. The mask is 0 and 255.
///
/// # Errors
///
/// As [`decode`], and for a mask of another size, one that lets nothing be edited, or one that is transparent and gray.
pub fn mask_decode(bytes: &[u8], size: (u32, u32), limits: &Limits) -> Result<GrayImage> {
    let mut marks = Marks::default();
    let mut mask = gray(bytes, size, limits, |strip| marks.read(&strip))?;
    marks.settle(&mut mask)?;
    if mask.iter().all(|&value| value == 0) {
        return Err(Error::MaskEmpty);
    }
    Ok(mask)
}

/// Reads a matte: which pixels an edit may have changed. It must have the picture's `size`; any color but black counts. The
/// matte is 0 and 255.
///
/// # Errors
///
/// As [`decode`], and for a matte of another size.
pub fn matte_decode(bytes: &[u8], size: (u32, u32), limits: &Limits) -> Result<GrayImage> {
    let reached = |black: bool| if black { 0 } else { 255 };
    gray(bytes, size, limits, |strip| match strip {
        DynamicImage::ImageLuma8(pixels) => {
            pixels.iter().map(|value| reached(*value == 0)).collect()
        }
        other => {
            let pixels = other.into_rgb16();
            pixels
                .pixels()
                .map(|pixel| reached(pixel.0 == [0; 3]))
                .collect()
        }
    })
}

/// Reads how opaque each pixel of a picture is. It must have this `size`.
///
/// # Errors
///
/// As [`decode`], and for a picture of another size.
pub fn opacity_decode(bytes: &[u8], size: (u32, u32), limits: &Limits) -> Result<GrayImage> {
    gray(bytes, size, limits, |strip| {
        match strip.color().has_alpha() {
            true => opacity_of(&strip),
            false => vec![255; strip.width() as usize * strip.height() as usize],
        }
    })
}

/// One value a pixel, turned upright, of a file that must have this `size`.
fn gray(
    bytes: &[u8],
    size: (u32, u32),
    limits: &Limits,
    mut values: impl FnMut(DynamicImage) -> Vec<u8>,
) -> Result<GrayImage> {
    let head = Head::read(bytes, limits)?;
    let (stored, orientation) = (head.size, head.orientation);
    let found = match head.is_turned() {
        true => (stored.1, stored.0),
        false => stored,
    };
    if found != size {
        return Err(Error::MaskSize {
            mask: found,
            picture: size,
        });
    }
    let mut plane = Plane::new(stored, 1);
    strips(head, None, |strip| plane.add(values(strip)))?;
    let mut image = DynamicImage::ImageLuma8(made(stored, plane.values)?);
    image.apply_orientation(orientation);
    Ok(image.into_luma8())
}

/// Gives out the pixels from top to bottom, in strips of whole rows: one by one where the format allows it, else all at once.
/// Inks come out as sRGB, by `way` where there is one.
fn strips(head: Head<'_>, way: Option<&ToSrgb>, mut take: impl FnMut(DynamicImage)) -> Result<()> {
    let width = head.size.0;
    match head.pixels {
        Pixels::Rows(rows) => return rows.each(take),
        Pixels::Inks(inks) => inks.each(way, |row| {
            take(
                ImageBuffer::from_raw(width, 1, row)
                    .map_or_else(DynamicImage::default, DynamicImage::ImageRgb8),
            );
        })?,
        Pixels::Whole(decoder) => {
            take(
                DynamicImage::from_decoder(decoder)
                    .map_err(|error| explain(&error, head.format))?,
            );
        }
    }
    Ok(())
}

/// Values of all pixels, put together from strips.
struct Plane<T> {
    values: Vec<T>,
    whole: usize,
}

impl<T: Copy> Plane<T> {
    fn new((width, height): (u32, u32), channels: usize) -> Self {
        Self {
            values: Vec::new(),
            whole: width as usize * height as usize * channels,
        }
    }

    fn add(&mut self, strip: Vec<T>) {
        if strip.len() == self.whole {
            self.values = strip;
            return;
        }
        // At its full size from the beginning: growing would hold it twice.
        self.values
            .reserve_exact(self.whole - self.values.len().min(self.whole));
        self.values.extend_from_slice(&strip);
    }
}

fn opacity_of(strip: &DynamicImage) -> Vec<u8> {
    match strip {
        DynamicImage::ImageRgba8(pixels) => pixels.pixels().map(|pixel| pixel.0[3]).collect(),
        other => other.to_rgba8().pixels().map(|pixel| pixel.0[3]).collect(),
    }
}

fn deep_opacity_of(strip: &DynamicImage) -> Vec<u16> {
    match strip {
        DynamicImage::ImageRgba16(pixels) => pixels.pixels().map(|pixel| pixel.0[3]).collect(),
        other => other.to_rgba16().pixels().map(|pixel| pixel.0[3]).collect(),
    }
}

/// A decoder that gave out fewer pixels than its head says.
fn short() -> Error {
    Error::Damaged {
        format: "picture",
        reason: "it has fewer pixels than its head says".to_owned(),
    }
}
