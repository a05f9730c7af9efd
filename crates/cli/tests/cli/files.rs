//! Picture files of every kind that a test needs, sound and broken.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};

/// A smooth picture in which no two pixels of a row are alike.
pub(crate) fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([
            (x * 255 / width) as u8,
            (y * 255 / height) as u8,
            ((x + y) * 127 / (width + height)) as u8,
        ])
    })
}

/// The same, clear in its left half.
pub(crate) fn half_clear(width: u32, height: u32) -> RgbaImage {
    let colors = gradient(width, height);
    RgbaImage::from_fn(width, height, |x, y| {
        let Rgb([r, g, b]) = *colors.get_pixel(x, y);
        Rgba([r, g, b, if x < width / 2 { 0 } else { 255 }])
    })
}

pub(crate) fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    encoded(picture, ImageFormat::Png)
}

/// A mask that is white in the columns `from..to`.
pub(crate) fn mask(width: u32, height: u32, from: u32, to: u32) -> Vec<u8> {
    png(image::GrayImage::from_fn(width, height, |x, _| {
        Luma([if (from..to).contains(&x) { 255 } else { 0 }])
    }))
}

/// A JPEG with an EXIF block that says how it is to be turned.
pub(crate) fn jpeg_oriented(picture: RgbImage, orientation: u8) -> Vec<u8> {
    let jpeg = encoded(picture, ImageFormat::Jpeg);
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let mut exif = b"\xFF\xE1".to_vec();
    exif.extend((tiff.len() as u16 + 8).to_be_bytes());
    exif.extend(b"Exif\0\0");
    exif.extend(tiff);
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}

/// A PNG that says it is `width` x `height` and holds next to nothing.
pub(crate) fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = width.to_be_bytes().to_vec();
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut bytes, b"IHDR", &header);
    chunk(
        &mut bytes,
        b"IDAT",
        &[0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01],
    );
    chunk(&mut bytes, b"IEND", &[]);
    bytes
}

fn chunk(bytes: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    bytes.extend((data.len() as u32).to_be_bytes());
    let start = bytes.len();
    bytes.extend(kind);
    bytes.extend(data);
    let checked = bytes[start..].iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    });
    bytes.extend((!checked).to_be_bytes());
}

/// A photograph's like in small: a red disc on gray, with grain.
pub(crate) fn disc() -> RgbImage {
    RgbImage::from_fn(256, 192, |x, y| {
        let inside = (x as i32 - 120).pow(2) + (y as i32 - 90).pow(2) < 50 * 50;
        let grain = ((x * 37 + y * 91) % 13) as u8;
        if inside {
            Rgb([170 + grain, 40 + grain, 35 + grain])
        } else {
            Rgb([140 + grain, 145 + grain, 150 + grain])
        }
    })
}
