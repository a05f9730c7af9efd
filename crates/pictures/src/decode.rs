//! Pictures from bytes: turned upright, 8 bits a channel. Dimensions are checked before a pixel is decoded, so that a small
//! file can't claim the memory of a huge picture.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::error::{Error, Result, one_line};
use crate::format::Format;
use crate::picture::Picture;

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

/// What a file's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The file's format, by its content and not by its name.
    pub format: Format,
    /// Width of the upright picture, in pixels.
    pub width: u32,
    /// Height of the upright picture, in pixels.
    pub height: u32,
}

/// Reads the head of a PNG, JPEG or WebP picture and decodes no pixel.
///
/// # Errors
///
/// For a file that is no such picture or is beyond the limits; damage after the head goes unnoticed.
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Probe> {
    let mut head = Head::read(bytes, limits)?;
    let (width, height) = head.decoder.dimensions();
    let turned = matches!(
        head.orientation(),
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let (width, height) = if turned {
        (height, width)
    } else {
        (width, height)
    };
    Ok(Probe {
        format: head.format,
        width,
        height,
    })
}

/// Reads a PNG, JPEG or WebP picture and turns it upright.
///
/// # Errors
///
/// For a file that is no such picture, is damaged, or is beyond the limits.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture> {
    let pixels = pixels(bytes, limits)?;
    let alpha = pixels.color().has_alpha().then(|| alpha_of(&pixels));
    Ok(Picture {
        alpha: alpha.filter(|alpha| alpha.iter().any(|&value| value != 255)),
        rgb: pixels.into_rgb8(),
    })
}

/// Reads a mask: white where the edit may act. It must have the picture's `size`; grey counts as white from 128 on,
/// transparent as black. The mask is 0 and 255.
///
/// # Errors
///
/// As [`decode`], and for a mask of another size or without any white.
pub fn mask_decode(bytes: &[u8], size: (u32, u32), limits: &Limits) -> Result<GrayImage> {
    let pixels = pixels(bytes, limits)?;
    let mask_size = (pixels.width(), pixels.height());
    if mask_size != size {
        return Err(Error::MaskSize {
            mask: mask_size,
            picture: size,
        });
    }
    let mut mask = pixels.to_luma8();
    if pixels.color().has_alpha() {
        let alpha = alpha_of(&pixels);
        for (value, alpha) in mask.iter_mut().zip(alpha.iter()) {
            *value = (u16::from(*value) * u16::from(*alpha) / 255) as u8;
        }
    }
    mask.iter_mut()
        .for_each(|value| *value = if *value >= 128 { 255 } else { 0 });
    if mask.iter().all(|&value| value == 0) {
        return Err(Error::MaskEmpty);
    }
    Ok(mask)
}

fn alpha_of(pixels: &DynamicImage) -> GrayImage {
    let rgba = pixels.to_rgba8();
    GrayImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        image::Luma([rgba.get_pixel(x, y).0[3]])
    })
}

fn pixels(bytes: &[u8], limits: &Limits) -> Result<DynamicImage> {
    let mut head = Head::read(bytes, limits)?;
    let (format, orientation) = (head.format, head.orientation());
    let mut pixels =
        DynamicImage::from_decoder(head.decoder).map_err(|error| explain(&error, format))?;
    // The decoder fills what a cut file lacks with gray and reports success.
    if format == Format::Jpeg && !jpeg_ends(bytes) {
        return Err(Error::Damaged {
            format: format.name(),
            reason: "it stops in the middle".to_owned(),
        });
    }
    pixels.apply_orientation(orientation);
    Ok(pixels)
}

/// A file whose head was read and found within the limits.
struct Head<'a> {
    format: Format,
    decoder: Box<dyn ImageDecoder + 'a>,
}

impl<'a> Head<'a> {
    fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        let count = bytes.len() as u64;
        if count == 0 {
            return Err(Error::Empty);
        }
        if count > limits.bytes_max {
            return Err(Error::Bytes {
                bytes: count,
                bytes_max: limits.bytes_max,
            });
        }
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|_| Error::NotAPicture)?;
        let format = match reader.format() {
            Some(ImageFormat::Png) => Format::Png,
            Some(ImageFormat::Jpeg) => Format::Jpeg,
            Some(ImageFormat::WebP) => Format::WebP,
            Some(other) => return Err(Error::Format(format!("{other:?}").to_uppercase())),
            None => return Err(Error::NotAPicture),
        };
        let mut allowed = image::Limits::no_limits();
        allowed.max_alloc = Some(limits.decoder_bytes_max);
        reader.limits(allowed);
        let decoder = reader
            .into_decoder()
            .map_err(|error| explain(&error, format))?;
        let (width, height) = decoder.dimensions();
        if width == 0 || height == 0 {
            return Err(Error::NoPixels { width, height });
        }
        if width.max(height) > limits.side_max
            || u64::from(width) * u64::from(height) > limits.pixels_max
        {
            return Err(Error::Pixels {
                width,
                height,
                side_max: limits.side_max,
                pixels_max: limits.pixels_max,
            });
        }
        Ok(Self {
            format,
            decoder: Box::new(decoder),
        })
    }

    /// How to turn the picture. A broken EXIF block is no reason to refuse a sound picture.
    fn orientation(&mut self) -> Orientation {
        self.decoder
            .orientation()
            .unwrap_or(Orientation::NoTransforms)
    }
}

/// Whether an end-of-image marker follows the start of the pixels. One before it would end an embedded thumbnail.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == 0xDA {
            return bytes[at..].windows(2).any(|pair| pair == [0xFF, 0xD9]);
        }
        // Markers may be padded with 0xFF bytes.
        at += if marker == 0xFF {
            1
        } else {
            2 + usize::from(u16::from_be_bytes([high, low]))
        };
    }
    false
}

fn explain(error: &ImageError, format: Format) -> Error {
    let format = format.name();
    match error {
        ImageError::Limits(_) => Error::Memory(format),
        ImageError::Unsupported(what) => Error::Unsupported {
            format,
            what: what.to_string(),
        },
        other => Error::Damaged {
            format,
            reason: one_line(other),
        },
    }
}
