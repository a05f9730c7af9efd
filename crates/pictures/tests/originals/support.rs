//! Files put together from parts.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use limekiln_pictures::{Limits, Original, Warning};

pub(crate) fn read(bytes: &[u8]) -> (Original, Vec<Warning>) {
    Original::read(bytes, &Limits::UPLOAD).unwrap()
}

/// A file that Pillow and LittleCMS know, too.
pub(crate) fn reference(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
    std::fs::read(folder.join(name)).unwrap()
}

pub(crate) fn encoded(pixels: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    pixels.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A picture that is the same from no two sides.
pub(crate) fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 9) as u8, (y * 11) as u8, (x * y) as u8])
    })
}

/// A PNG with one more chunk, before its pixels.
pub(crate) fn with_chunk(png: &[u8], kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [&kind[..], data].concat();
    let length = (data.len() as u32).to_be_bytes();
    let chunk = [&length[..], &named, &crc(&named).to_be_bytes()].concat();
    [&png[..33], &chunk, &png[33..]].concat()
}

/// A JPEG with one more segment, behind its start.
pub(crate) fn with_segment(jpeg: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &length, data, &jpeg[2..]].concat()
}

/// An extended WebP with one more chunk at its end.
pub(crate) fn webp_with(pixels: &RgbImage, kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let simple = encoded(pixels.clone(), ImageFormat::WebP);
    let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    let flags = match kind {
        b"EXIF" => 8,
        b"XMP " => 4,
        _ => 32,
    };
    let (width, height) = pixels.dimensions();
    let head = [vec![flags, 0, 0, 0], side(width), side(height)].concat();
    let chunk = |kind: &[u8], data: &[u8]| {
        let pad = vec![0; data.len() % 2];
        [kind, &(data.len() as u32).to_le_bytes(), data, &pad].concat()
    };
    let body = [
        b"WEBP".to_vec(),
        chunk(b"VP8X", &head),
        simple[12..].to_vec(),
        chunk(kind, data),
    ]
    .concat();
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

/// An entry of a directory: tag, type, count, and the value as it is stored.
pub(crate) type Entry = (u16, u16, u32, [u8; 4]);

/// A little-endian EXIF block: directories one behind the other, each with where the next is, and what follows them.
pub(crate) fn exif(directories: &[(&[Entry], u32)], rest: &[u8]) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0".to_vec();
    for (entries, next) in directories {
        block.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in *entries {
            block.extend(tag.to_le_bytes());
            block.extend(kind.to_le_bytes());
            block.extend(count.to_le_bytes());
            block.extend(value);
        }
        block.extend(next.to_le_bytes());
    }
    block.extend(rest);
    block
}

/// A block that says nothing but how the picture is stored, in a number of this type.
pub(crate) fn orientation(kind: u16, value: u8) -> Vec<u8> {
    exif(&[(&[(0x0112, kind, 1, [value, 0, 0, 0])], 0)], &[])
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| match sum & 1 {
            1 => (sum >> 1) ^ 0xEDB8_8320,
            _ => sum >> 1,
        })
    })
}
