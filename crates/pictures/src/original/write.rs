//! An original to bytes, with its profile and metadata.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::jpeg::{JpegEncoder, PixelDensity};
use image_webp::WebPEncoder;
use png::{
    BitDepth, ColorType, Compression, Encoder, Filter, PixelDimensions, Unit, chunk::ChunkType,
};

use super::samples::{Colors, Depth, Opacity, shallow};
use super::upright::Original;
use crate::container::{self, Exif, Length, Resolution};
use crate::error::{Error, Result, one_line};
use crate::format::Format;
use crate::jpeg;

/// Quality of a JPEG that is a result, 1 to 100.
pub const JPEG_QUALITY: u8 = 95;

impl Original {
    /// A file of `format` with profile and metadata. The same original gives the same bytes. PNG keeps the depth, WebP and
    /// JPEG have 8 bits; JPEG drops transparency: take [`Original::flat`] before.
    ///
    /// # Errors
    ///
    /// When the encoder refuses the picture, and for formats that are only read.
    pub fn encode(&self, format: Format) -> Result<Vec<u8>> {
        match format {
            Format::Png => self.png(),
            Format::Jpeg => self.jpeg(JPEG_QUALITY),
            Format::WebP => self.webp(),
            Format::Tiff => Err(refused(format, "it is only read")),
        }
    }

    /// EXIF that tells this picture's size.
    fn exif(&self) -> Option<Vec<u8>> {
        let mut exif = Exif::new(self.metadata.exif.as_deref()?)?;
        let (width, height) = self.size();
        exif.set_size(width, height);
        Some(exif.into_bytes())
    }

    fn png(&self) -> Result<Vec<u8>> {
        let refused = |error: png::EncodingError| refused(Format::Png, &error.to_string());
        let (width, height) = self.size();
        let mut info = png::Info::with_size(width, height);
        info.color_type = match self.alpha {
            Some(_) => ColorType::Rgba,
            None => ColorType::Rgb,
        };
        info.bit_depth = match self.depth() {
            Depth::Eight => BitDepth::Eight,
            Depth::Sixteen => BitDepth::Sixteen,
        };
        info.icc_profile = self.space.icc().map(Cow::Borrowed);
        info.exif_metadata = self.exif().map(Cow::Owned);
        info.pixel_dims = self.metadata.resolution.map(dimensions);
        let mut bytes = Vec::new();
        let mut encoder = Encoder::with_info(&mut bytes, info).map_err(refused)?;
        encoder.set_compression(Compression::Fast);
        encoder.set_filter(Filter::Adaptive);
        if let Some(text) = self.xmp_text() {
            encoder
                .add_itxt_chunk("XML:com.adobe.xmp".to_owned(), text)
                .map_err(refused)?;
        }
        let mut writer = encoder.write_header().map_err(refused)?;
        if let Some(cicp) = self.space.cicp() {
            writer
                .write_chunk(ChunkType(*b"cICP"), &cicp)
                .map_err(refused)?;
        }
        writer
            .write_image_data(&self.big_endian())
            .map_err(refused)?;
        writer.finish().map_err(refused)?;
        Ok(bytes)
    }

    /// A JPEG of this quality, 1 to 100, with all of its color samples, with profile and metadata.
    ///
    /// # Errors
    ///
    /// When the encoder refuses the picture.
    pub fn jpeg(&self, quality: u8) -> Result<Vec<u8>> {
        let (width, height) = self.size();
        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
        if let Some((x, y)) = self
            .metadata
            .resolution
            .and_then(|resolution| resolution.inches())
        {
            let side = |value: f64| value.round().clamp(1.0, 65_535.0) as u16;
            encoder.set_pixel_density(PixelDensity {
                density: (side(x), side(y)),
                unit: image::codecs::jpeg::PixelDensityUnit::Inches,
            });
        }
        encoder
            .encode(&self.eight(), width, height, image::ExtendedColorType::Rgb8)
            .map_err(|error| refused(Format::Jpeg, &error.to_string()))?;
        let packets = jpeg::segments_of(
            self.exif().as_deref(),
            self.metadata.xmp.as_deref(),
            self.space.icc(),
        );
        Ok(jpeg::with_segments(&bytes.into_inner(), &packets))
    }

    fn webp(&self) -> Result<Vec<u8>> {
        let (width, height) = self.size();
        let mut bytes = Vec::new();
        let mut encoder = WebPEncoder::new(&mut bytes);
        if let Some(icc) = self.space.icc() {
            encoder.set_icc_profile(icc.to_vec());
        }
        if let Some(exif) = self.exif() {
            encoder.set_exif_metadata(exif);
        }
        if let Some(xmp) = &self.metadata.xmp {
            encoder.set_xmp_metadata(xmp.clone());
        }
        let (samples, color) = match &self.alpha {
            None => (self.eight(), image_webp::ColorType::Rgb8),
            Some(alpha) => (
                interleaved(&self.eight(), alpha.to_eight().as_raw()).into(),
                image_webp::ColorType::Rgba8,
            ),
        };
        encoder
            .encode(&samples, width, height, color)
            .map_err(|error| refused(Format::WebP, &error.to_string()))?;
        Ok(bytes)
    }

    /// A WebP with loss of this quality, 1 to 99, with profile and metadata. `image` can't write these.
    ///
    /// # Errors
    ///
    /// When the encoder refuses the picture.
    pub fn webp_lossy(&self, quality: u8) -> Result<Vec<u8>> {
        let (width, height) = self.size();
        let colors = self.eight();
        let mut config = webp::WebPConfig::new()
            .map_err(|()| refused(Format::WebP, "its encoder has other defaults"))?;
        config.quality = f32::from(quality);
        // Else all that is to be coded is kept at once, which of noise is more than the picture.
        config.low_memory = 1;
        let made = match &self.alpha {
            None => webp::Encoder::from_rgb(&colors, width, height).encode_advanced(&config),
            Some(alpha) => {
                let rgba = interleaved(&colors, alpha.to_eight().as_raw());
                webp::Encoder::from_rgba(&rgba, width, height).encode_advanced(&config)
            }
        };
        let file = made.map_err(|error| refused(Format::WebP, &format!("{error:?}")))?;
        Ok(container::webp::with_packets(
            &file,
            (width, height),
            self.space.icc(),
            self.exif().as_deref(),
            self.metadata.xmp.as_deref(),
        ))
    }

    fn xmp_text(&self) -> Option<String> {
        String::from_utf8(self.metadata.xmp.clone()?).ok()
    }

    /// Color samples of 8 bits in the picture's own space.
    fn eight(&self) -> Cow<'_, [u8]> {
        match &self.colors {
            Colors::Eight(pixels) => Cow::Borrowed(pixels.as_raw()),
            Colors::Sixteen(pixels) => pixels.iter().map(|value| shallow(*value)).collect(),
        }
    }

    /// All samples as PNG stores them.
    fn big_endian(&self) -> Cow<'_, [u8]> {
        match (&self.colors, &self.alpha) {
            (Colors::Eight(pixels), None) => Cow::Borrowed(pixels.as_raw()),
            (Colors::Eight(pixels), Some(Opacity::Eight(alpha))) => {
                interleaved(pixels.as_raw(), alpha.as_raw()).into()
            }
            (Colors::Eight(pixels), Some(alpha)) => {
                interleaved(pixels.as_raw(), alpha.to_eight().as_raw()).into()
            }
            (Colors::Sixteen(pixels), alpha) => {
                let channels = if alpha.is_some() { 8 } else { 6 };
                let (width, height) = pixels.dimensions();
                let mut out = Vec::with_capacity(width as usize * height as usize * channels);
                for (y, row) in pixels.rows().enumerate() {
                    let alphas = alpha.as_ref().map(|alpha| alpha.row(y as u32));
                    for (x, pixel) in row.enumerate() {
                        for value in pixel.0.iter().chain(alphas.as_ref().map(|row| &row[x])) {
                            out.extend(value.to_be_bytes());
                        }
                    }
                }
                out.into()
            }
        }
    }
}

fn interleaved(colors: &[u8], alpha: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(alpha.len() * 4);
    for (color, alpha) in colors.chunks_exact(3).zip(alpha) {
        out.extend_from_slice(color);
        out.push(*alpha);
    }
    out
}

fn dimensions(resolution: Resolution) -> PixelDimensions {
    let side = |value: f64| value.round().clamp(0.0, f64::from(i32::MAX)) as u32;
    PixelDimensions {
        xppu: side(resolution.x),
        yppu: side(resolution.y),
        unit: match resolution.per {
            Length::Metre => Unit::Meter,
            Length::Unknown => Unit::Unspecified,
        },
    }
}

fn refused(format: Format, reason: &str) -> Error {
    Error::Encode {
        format: format.name(),
        reason: one_line(reason),
    }
}
