//! JPEGs of four inks, which have to come out as inks for their profile.

use std::borrow::Cow;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::error::{Error, Result, one_line};
use crate::jpeg::segments;
use crate::original::{ToSrgb, deep, shallow};

/// A CMYK JPEG whose pixels come next.
pub(crate) struct Inks<'a> {
    bytes: Cow<'a, [u8]>,
    size: (u32, u32),
    /// Stored as luminance and chrominance of the first three.
    coded: bool,
    /// Adobe's programs store how much paper is left, not how much ink there is.
    inverted: bool,
}

impl<'a> Inks<'a> {
    /// None where the file has no four inks.
    pub(crate) fn open(bytes: Cow<'a, [u8]>, size: (u32, u32)) -> Result<Option<Self>> {
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&bytes), options());
        decoder.decode_headers().map_err(damaged)?;
        let space = decoder.input_colorspace();
        let adobe = |data: &[u8]| data.starts_with(b"Adobe");
        let inverted = segments(&bytes)
            .any(|segment| segment.marker == 0xEE && segment.data().is_some_and(adobe));
        Ok(
            matches!(space, Some(ColorSpace::CMYK | ColorSpace::YCCK)).then(|| Self {
                bytes,
                size,
                coded: space == Some(ColorSpace::YCCK),
                inverted,
            }),
        )
    }

    /// Gives out the rows from top to bottom as sRGB. Without a profile, each ink takes its share of the paper's light.
    pub(crate) fn each(self, way: Option<&ToSrgb>, mut take: impl FnMut(Vec<u8>)) -> Result<()> {
        let space = if self.coded {
            ColorSpace::YCCK
        } else {
            ColorSpace::CMYK
        };
        let options = options().jpeg_set_out_colorspace(space);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&self.bytes), options);
        let pixels = decoder.decode().map_err(damaged)?;
        if pixels.len() != self.size.0 as usize * self.size.1 as usize * 4 {
            return Err(damaged("it has fewer pixels than its head says"));
        }
        for row in pixels.chunks_exact(self.size.0.max(1) as usize * 4) {
            let (row, _) = row.as_chunks::<4>();
            let inks = row.iter().map(|pixel| self.inks(*pixel));
            take(match way {
                None => inks.flat_map(on_paper).collect(),
                Some(way) => {
                    let inks: Vec<u16> = inks.flat_map(|inks| inks.map(deep)).collect();
                    way.pixels(&inks).into_iter().map(shallow).collect()
                }
            });
        }
        Ok(())
    }

    /// How much of each ink a stored pixel has.
    fn inks(&self, pixel: [u8; 4]) -> [u8; 4] {
        let stored = match self.coded {
            false => pixel,
            true => {
                let [y, cb, cr, key] = pixel;
                let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
                let whole = |value: f32| 255 - value.round().clamp(0.0, 255.0) as u8;
                [
                    whole(y + 1.402 * cr),
                    whole(y - 0.344_136 * cb - 0.714_136 * cr),
                    whole(y + 1.772 * cb),
                    key,
                ]
            }
        };
        match self.inverted {
            true => stored.map(|value| 255 - value),
            false => stored,
        }
    }
}

fn on_paper([cyan, magenta, yellow, key]: [u8; 4]) -> [u8; 3] {
    let left = 255 - u32::from(key);
    [cyan, magenta, yellow].map(|ink| (((255 - u32::from(ink)) * left + 127) / 255) as u8)
}

fn options() -> DecoderOptions {
    DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
}

fn damaged(reason: impl std::fmt::Display) -> Error {
    Error::Damaged {
        format: "JPEG",
        reason: one_line(&reason.to_string()),
    }
}
