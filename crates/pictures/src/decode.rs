//! Pictures from bytes: turned upright, 8 bits a channel. Dimensions are checked before a pixel is decoded, so that a small
//! file can't claim the memory of a huge picture; and a [`Probe`] says how much memory each way to read the file takes, so
//! that it can be set aside before.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};

use crate::error::{Error, Result};
use crate::format::Format;
use crate::head::{Head, Pixels, explain};
use crate::jpeg;
use crate::limits::Limits;
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
    /// Most bytes that [`decode`], [`mask_decode`] or [`opacity_decode`] holds at once beside the file, its result included.
    pub decode_bytes: u64,
    /// Bytes of the picture that [`decode`] returns, at most.
    pub picture_bytes: u64,
}

/// Reads the head of a PNG, JPEG or WebP picture and decodes no pixel.
///
/// # Errors
///
/// For a file that is no such picture or is beyond the limits; damage after the head goes unnoticed.
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Probe> {
    let head = Head::read(bytes, limits)?;
    let (mut width, mut height) = head.size;
    let area = u64::from(width) * u64::from(height);
    let picture_bytes = area * if head.alpha { 4 } else { 3 };
    // Turning makes a copy of one of colors and transparency at a time.
    let copy = if head.is_turned() { 3 * area } else { 0 };
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
        head => strips(head, bytes, |_| {}),
    }
}

/// Reads a PNG, JPEG or WebP picture and turns it upright.
///
/// # Errors
///
/// For a file that is no such picture, is damaged, or is beyond the limits.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture> {
    let head = Head::read(bytes, limits)?;
    let (size, orientation) = (head.size, head.orientation);
    let (mut colors, mut opacity) = (Plane::new(size, 3), Plane::new(size, 1));
    strips(head, bytes, |strip| {
        if strip.color().has_alpha() {
            opacity.add(opacity_of(&strip));
        }
        colors.add(strip.into_rgb8().into_raw());
    })?;
    let rgb = RgbImage::from_raw(size.0, size.1, colors.values).ok_or_else(short)?;
    let alpha = match opacity.values.iter().any(|&value| value != 255) {
        true => Some(GrayImage::from_raw(size.0, size.1, opacity.values).ok_or_else(short)?),
        false => None,
    };
    Ok(Picture {
        rgb: upright(rgb.into(), orientation).into_rgb8(),
        alpha: alpha.map(|alpha| upright(alpha.into(), orientation).into_luma8()),
    })
}

/// Reads a mask: white where the edit may act. It must have the picture's `size`; grey counts as white from 128 on,
/// transparent as black. The mask is 0 and 255.
///
/// # Errors
///
/// As [`decode`], and for a mask of another size or without any white.
pub fn mask_decode(bytes: &[u8], size: (u32, u32), limits: &Limits) -> Result<GrayImage> {
    let mask = gray(bytes, size, limits, |strip| {
        let mut values = strip.to_luma8().into_raw();
        if strip.color().has_alpha() {
            for (value, opacity) in values.iter_mut().zip(opacity_of(&strip)) {
                *value = (u16::from(*value) * u16::from(opacity) / 255) as u8;
            }
        }
        values
            .iter_mut()
            .for_each(|value| *value = if *value >= 128 { 255 } else { 0 });
        values
    })?;
    if mask.iter().all(|&value| value == 0) {
        return Err(Error::MaskEmpty);
    }
    Ok(mask)
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
    values: impl Fn(DynamicImage) -> Vec<u8>,
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
    strips(head, bytes, |strip| plane.add(values(strip)))?;
    let image = GrayImage::from_raw(stored.0, stored.1, plane.values).ok_or_else(short)?;
    Ok(upright(image.into(), orientation).into_luma8())
}

/// Gives out the pixels from top to bottom, in strips of whole rows: one by one where the format allows it, else all at once.
fn strips(head: Head<'_>, bytes: &[u8], mut take: impl FnMut(DynamicImage)) -> Result<()> {
    let decoder = match head.pixels {
        Pixels::Rows(rows) => return rows.each(take),
        Pixels::Whole(decoder) => decoder,
    };
    let pixels =
        DynamicImage::from_decoder(decoder).map_err(|error| explain(&error, head.format))?;
    if head.format == Format::Jpeg && !jpeg::ends(bytes) {
        return Err(Error::Damaged {
            format: head.format.name(),
            reason: "it stops in the middle".to_owned(),
        });
    }
    take(pixels);
    Ok(())
}

/// Values of all pixels, put together from strips.
struct Plane {
    values: Vec<u8>,
    whole: usize,
}

impl Plane {
    fn new((width, height): (u32, u32), channels: usize) -> Self {
        Self {
            values: Vec::new(),
            whole: width as usize * height as usize * channels,
        }
    }

    fn add(&mut self, strip: Vec<u8>) {
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

fn upright(mut image: DynamicImage, orientation: Orientation) -> DynamicImage {
    image.apply_orientation(orientation);
    image
}

fn opacity_of(strip: &DynamicImage) -> Vec<u8> {
    match strip {
        DynamicImage::ImageRgba8(pixels) => pixels.pixels().map(|pixel| pixel.0[3]).collect(),
        other => other.to_rgba8().pixels().map(|pixel| pixel.0[3]).collect(),
    }
}

/// A decoder that gave out fewer pixels than its head says.
fn short() -> Error {
    Error::Damaged {
        format: "picture",
        reason: "it has fewer pixels than its head says".to_owned(),
    }
}
