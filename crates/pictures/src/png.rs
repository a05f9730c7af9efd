//! PNG, read row by row: a check keeps no pixel.

use std::borrow::Cow;
use std::io::Cursor;

use image::{DynamicImage, ImageBuffer, Pixel};
use png::{BitDepth, ColorType, Decoder, DecodingError, Transformations};

use crate::error::{Error, Result, one_line};
use crate::original::{Depth, Kind};

/// What inflating holds beside the rows.
const INFLATE_BYTES: u64 = 512 << 10;

/// Width and height, from the first chunk alone.
pub(crate) fn size(bytes: &[u8]) -> Result<(u32, u32)> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    let info = decoder.read_header_info().map_err(explain)?;
    Ok(info.size())
}

/// A PNG whose pixels come next.
pub(crate) struct Rows<'a> {
    reader: png::Reader<Cursor<&'a [u8]>>,
    color: (ColorType, BitDepth),
    width: u32,
}

impl<'a> Rows<'a> {
    /// Reads everything before the pixels. Texts and color profiles are skipped, since a small one may inflate to very much:
    /// `container` reads them within bounds.
    pub(crate) fn open(bytes: &'a [u8], bytes_max: u64) -> Result<Self> {
        let limits = png::Limits {
            bytes: usize::try_from(bytes_max).unwrap_or(usize::MAX),
        };
        let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        // Palettes become colors, 1 to 4 bits 8, a transparent color a channel. 16 bits stay.
        decoder.set_transformations(Transformations::EXPAND);
        let reader = decoder.read_info().map_err(explain)?;
        Ok(Self {
            color: reader.output_color_type(),
            width: reader.info().width,
            reader,
        })
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.color.0 {
            ColorType::Grayscale | ColorType::GrayscaleAlpha => Kind::Gray,
            ColorType::Rgb | ColorType::Rgba | ColorType::Indexed => Kind::Rgb,
        }
    }

    pub(crate) fn depth(&self) -> Depth {
        match self.color.1 {
            BitDepth::Sixteen => Depth::Sixteen,
            _ => Depth::Eight,
        }
    }

    pub(crate) fn has_alpha(&self) -> bool {
        matches!(self.color.0, ColorType::GrayscaleAlpha | ColorType::Rgba)
    }

    fn line_bytes(&self) -> u64 {
        self.reader
            .output_line_size(self.width)
            .map_or(u64::MAX, |bytes| bytes as u64)
    }

    /// Most bytes that reading the rows holds at once: a row as it is stored, the one before, the row as it is given out, and
    /// that converted.
    pub(crate) fn row_bytes(&self) -> u64 {
        INFLATE_BYTES + self.line_bytes().saturating_mul(8)
    }

    /// Bytes of all rows, where they are not stored from top to bottom and must be kept until the last has come.
    pub(crate) fn frame_bytes(&self) -> u64 {
        match self.reader.info().interlaced {
            true => self
                .line_bytes()
                .saturating_mul(u64::from(self.reader.info().height)),
            false => 0,
        }
    }

    /// Reads all pixels and keeps none.
    pub(crate) fn check(mut self) -> Result<()> {
        while self.reader.next_row().map_err(explain)?.is_some() {}
        Ok(())
    }

    /// Gives out the rows from top to bottom, each as a picture one pixel high.
    pub(crate) fn each(mut self, mut take: impl FnMut(DynamicImage)) -> Result<()> {
        if self.reader.info().interlaced {
            let bytes = self.reader.output_buffer_size().ok_or_else(too_much)?;
            let mut frame = vec![0; bytes];
            let info = self.reader.next_frame(&mut frame).map_err(explain)?;
            for row in frame.chunks_exact(info.line_size.max(1)) {
                take(self.row(row)?);
            }
            return Ok(());
        }
        while let Some(row) = self.reader.next_row().map_err(explain)? {
            let row = row.data().to_vec();
            take(self.row(&row)?);
        }
        Ok(())
    }

    fn row(&self, row: &[u8]) -> Result<DynamicImage> {
        let width = self.width;
        let made = match self.color {
            (ColorType::Grayscale, BitDepth::Eight) => {
                eight(width, row).map(DynamicImage::ImageLuma8)
            }
            (ColorType::GrayscaleAlpha, BitDepth::Eight) => {
                eight(width, row).map(DynamicImage::ImageLumaA8)
            }
            (ColorType::Rgb, BitDepth::Eight) => eight(width, row).map(DynamicImage::ImageRgb8),
            (ColorType::Rgba, BitDepth::Eight) => eight(width, row).map(DynamicImage::ImageRgba8),
            (ColorType::Grayscale, BitDepth::Sixteen) => {
                sixteen(width, row).map(DynamicImage::ImageLuma16)
            }
            (ColorType::GrayscaleAlpha, BitDepth::Sixteen) => {
                sixteen(width, row).map(DynamicImage::ImageLumaA16)
            }
            (ColorType::Rgb, BitDepth::Sixteen) => {
                sixteen(width, row).map(DynamicImage::ImageRgb16)
            }
            (ColorType::Rgba, BitDepth::Sixteen) => {
                sixteen(width, row).map(DynamicImage::ImageRgba16)
            }
            (color, depth) => {
                return Err(Error::Unsupported {
                    format: "PNG",
                    what: format!("{color:?} of {depth:?} bits"),
                });
            }
        };
        made.ok_or_else(|| damaged("a row has another length than the picture"))
    }
}

fn eight<P: Pixel<Subpixel = u8>>(width: u32, row: &[u8]) -> Option<ImageBuffer<P, Vec<u8>>> {
    ImageBuffer::from_raw(width, 1, row.to_vec())
}

fn sixteen<P: Pixel<Subpixel = u16>>(width: u32, row: &[u8]) -> Option<ImageBuffer<P, Vec<u16>>> {
    let (values, _) = row.as_chunks::<2>();
    let values = values.iter().map(|value| u16::from_be_bytes(*value));
    ImageBuffer::from_raw(width, 1, values.collect())
}

fn too_much() -> Error {
    Error::Memory("PNG")
}

fn damaged(reason: impl Into<Cow<'static, str>>) -> Error {
    Error::Damaged {
        format: "PNG",
        reason: reason.into().into_owned(),
    }
}

fn explain(error: DecodingError) -> Error {
    match error {
        DecodingError::LimitsExceeded => too_much(),
        other => damaged(one_line(&other.to_string())),
    }
}
