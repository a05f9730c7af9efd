//! Pictures from files: upright, 8 bits a channel, bounded before anything is decoded.

use std::fs;
use std::io::{Cursor, ErrorKind};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use image::metadata::Orientation;
use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage,
};

/// The longest side that is read, in pixels.
const SIDE_MAX: u32 = 16_384;
/// The largest picture that is read, in pixels.
const PIXELS_MAX: u64 = 100_000_000;
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// What a decoder may allocate: 100 megapixels of 16-bit RGBA, and some.
const DECODER_BYTES_MAX: u64 = 1 << 30;

/// A picture as the model and the output see it.
#[derive(Debug)]
pub(crate) struct Picture {
    /// Colors, transparency ignored.
    pub(crate) rgb: RgbImage,
    /// Transparency, where any pixel has some.
    pub(crate) alpha: Option<GrayImage>,
}

impl Picture {
    /// Reads a PNG, JPEG or WebP picture and turns it upright.
    ///
    /// # Errors
    ///
    /// Says in one line what is wrong with the file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let pixels = decode(path).with_context(|| path.display().to_string())?;
        let alpha = pixels.color().has_alpha().then(|| alpha_of(&pixels));
        Ok(Self {
            alpha: alpha.filter(|alpha| alpha.iter().any(|&value| value != 255)),
            rgb: pixels.into_rgb8(),
        })
    }

    /// The colors as they look on white paper, which is what a model can be shown.
    pub(crate) fn on_white(&self) -> RgbImage {
        match &self.alpha {
            None => self.rgb.clone(),
            Some(alpha) => on_white(&self.rgb, alpha),
        }
    }
}

/// `rgb` laid over white paper with opacity `alpha`.
pub(crate) fn on_white(rgb: &RgbImage, alpha: &GrayImage) -> RgbImage {
    let mut out = rgb.clone();
    for (pixel, alpha) in out.pixels_mut().zip(alpha.iter()) {
        let alpha = u32::from(*alpha);
        pixel.0 = pixel
            .0
            .map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
    }
    out
}

/// Reads a mask: white where the edit may act. It must have the picture's size; grey counts as white from 128 on,
/// transparent as black.
///
/// # Errors
///
/// As [`Picture::open`], and for a mask of another size or without any white.
pub(crate) fn mask_open(path: &Path, size: (u32, u32)) -> Result<GrayImage> {
    let pixels = decode(path).with_context(|| path.display().to_string())?;
    let (width, height) = (pixels.width(), pixels.height());
    if (width, height) != size {
        bail!(
            "{}: the mask is {width}x{height} and the picture {}x{}: give a mask of the picture's size",
            path.display(),
            size.0,
            size.1
        );
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
        bail!(
            "{}: the mask has no white pixel, so there is nothing to edit: white marks where to edit",
            path.display()
        );
    }
    Ok(mask)
}

fn alpha_of(pixels: &DynamicImage) -> GrayImage {
    let rgba = pixels.to_rgba8();
    GrayImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        image::Luma([rgba.get_pixel(x, y).0[3]])
    })
}

fn decode(path: &Path) -> Result<DynamicImage> {
    let bytes = read(path)?;
    let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format()?;
    let format = match reader.format() {
        Some(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => format,
        Some(other) => bail!(
            "{} pictures are not read: convert it to PNG, JPEG or WebP",
            name(other)
        ),
        None => bail!("not a picture that can be read: give a PNG, JPEG or WebP file"),
    };
    decode_as(reader, format, &bytes)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => anyhow!("no such file"),
        _ => anyhow!("can't be read: {source}"),
    })?;
    if !metadata.is_file() {
        bail!("not a file: give a PNG, JPEG or WebP picture");
    }
    match metadata.len() {
        0 => bail!("the file is empty"),
        1..=FILE_BYTES_MAX => fs::read(path).map_err(|source| anyhow!("can't be read: {source}")),
        bytes => bail!(
            "the file has {} MB: at most {} are read",
            bytes >> 20,
            FILE_BYTES_MAX >> 20
        ),
    }
}

fn decode_as(
    mut reader: ImageReader<Cursor<&Vec<u8>>>,
    format: ImageFormat,
    bytes: &[u8],
) -> Result<DynamicImage> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader
        .into_decoder()
        .map_err(|error| explain(&error, format))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        bail!("the picture is {width}x{height}: it has no pixels");
    }
    if width > SIDE_MAX || height > SIDE_MAX || u64::from(width) * u64::from(height) > PIXELS_MAX {
        bail!(
            "the picture is {width}x{height}: at most {SIDE_MAX} pixels a side and {} megapixels are read; shrink it",
            PIXELS_MAX / 1_000_000
        );
    }
    // Pictures with a broken EXIF block are still pictures.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut pixels =
        DynamicImage::from_decoder(decoder).map_err(|error| explain(&error, format))?;
    // The decoder paints gray what a cut file lacks.
    if format == ImageFormat::Jpeg && !jpeg_ends(bytes) {
        bail!("the JPEG file is damaged: it stops in the middle");
    }
    pixels.apply_orientation(orientation);
    Ok(pixels)
}

/// Whether an end-of-image marker follows the start of the pixels. (One before it ends a thumbnail.)
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

fn name(format: ImageFormat) -> String {
    format!("{format:?}").to_uppercase()
}

fn explain(error: &ImageError, format: ImageFormat) -> anyhow::Error {
    let format = name(format);
    match error {
        ImageError::Limits(_) => anyhow!(
            "the {format} file asks for more memory than a picture may take; shrink it first"
        ),
        ImageError::Unsupported(what) => {
            anyhow!("a kind of {format} that is not read ({what}): save it as plain PNG")
        }
        other => anyhow!("the {format} file is damaged: {}", flat(&other.to_string())),
    }
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
