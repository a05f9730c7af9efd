//! A matte as bytes, to be kept for the further colors of a picture.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use image::{DynamicImage, ExtendedColorType, ImageEncoder, Limits};

use crate::crop::Place;
use crate::error::{Error, Result};
use crate::matte::Matte;
use crate::plane::Plane;

/// What the bytes begin with; the digit counts changes of the format.
const MAGIC: &[u8; 4] = b"LKM1";
/// Longest side of a picture, and most cells in a row or column.
const LONGEST: u32 = 1 << 16;
const CELLS: u32 = 1 << 12;
/// Most pixels of a matte.
const PIXELS: u64 = 1 << 28;

impl Matte {
    /// The matte as bytes: its shares as a gray PNG and its colors as two small ones.
    /// [`Matte::from_bytes`] gives one back that recolors to the same bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Kept`] where the picture is larger than can be kept.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (place, alpha, [own, other]) = self.parts();
        let numbers = [
            place.left,
            place.top,
            place.width,
            place.height,
            own.width,
            own.height,
        ]
        .map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        checked(numbers)?;
        let [_, _, width, height, columns, rows] = numbers;
        let mut out = MAGIC.to_vec();
        numbers
            .iter()
            .for_each(|number| out.extend(number.to_le_bytes()));
        for (samples, width, height, kind) in [
            (alpha, width, height, ExtendedColorType::L8),
            (
                own.data.as_flattened(),
                columns,
                rows,
                ExtendedColorType::Rgb8,
            ),
            (
                other.data.as_flattened(),
                columns,
                rows,
                ExtendedColorType::Rgb8,
            ),
        ] {
            let mut png = Vec::new();
            PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
                .write_image(samples, width, height, kind)
                .map_err(|error| Error::Kept(error.to_string()))?;
            out.extend((png.len() as u64).to_le_bytes());
            out.extend(png);
        }
        Ok(out)
    }

    /// The matte that was kept.
    ///
    /// # Errors
    ///
    /// [`Error::Kept`] where the bytes are no such matte.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| Error::Kept("it begins with something else".into()))?;
        let mut numbers = [0; 6];
        for number in &mut numbers {
            *number = u32::from_le_bytes(taken(&mut rest)?);
        }
        checked(numbers)?;
        let [left, top, width, height, columns, rows] = numbers;
        let mut png = |width: u32, height: u32| -> Result<DynamicImage> {
            let length = u64::from_le_bytes(taken(&mut rest)?);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let (png, after) = rest.split_at_checked(length).ok_or_else(short)?;
            rest = after;
            decoded(png, width, height)
        };
        let DynamicImage::ImageLuma8(alpha) = png(width, height)? else {
            return Err(Error::Kept("its shares are not gray".into()));
        };
        let mut colors = || -> Result<Plane<[u8; 3]>> {
            let DynamicImage::ImageRgb8(colors) = png(columns, rows)? else {
                return Err(Error::Kept("its colors are none".into()));
            };
            Ok(Plane {
                width: columns as usize,
                height: rows as usize,
                data: colors.into_raw().as_chunks::<3>().0.to_vec(),
            })
        };
        let (own, other) = (colors()?, colors()?);
        let place = Place::of(
            [left, top, width, height].map(|number| number as usize),
            (columns as usize, rows as usize),
        );
        Ok(Self::from_parts(place, alpha.into_raw(), own, other))
    }
}

/// Left, top, width, height, columns and rows, if a matte may have them.
fn checked([left, top, width, height, columns, rows]: [u32; 6]) -> Result<()> {
    let sides = [left, top, width, height]
        .iter()
        .all(|number| *number <= LONGEST);
    let cells =
        (1..=CELLS.min(width)).contains(&columns) && (1..=CELLS.min(height)).contains(&rows);
    if sides && cells && u64::from(width) * u64::from(height) <= PIXELS {
        Ok(())
    } else {
        Err(Error::Kept(format!(
            "{width}x{height} pixels in {columns}x{rows} cells cannot be"
        )))
    }
}

fn taken<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (taken, after) = rest.split_first_chunk().ok_or_else(short)?;
    *rest = after;
    Ok(*taken)
}

fn short() -> Error {
    Error::Kept("it ends early".into())
}

fn decoded(png: &[u8], width: u32, height: u32) -> Result<DynamicImage> {
    let wrong = |error: image::ImageError| Error::Kept(error.to_string());
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(width), Some(height));
    limits.max_alloc = Some(4 * PIXELS);
    let decoder = PngDecoder::with_limits(Cursor::new(png), limits).map_err(wrong)?;
    let image = DynamicImage::from_decoder(decoder).map_err(wrong)?;
    if (image.width(), image.height()) == (width, height) {
        Ok(image)
    } else {
        Err(Error::Kept("its pictures have other sizes".into()))
    }
}
