//! Small pictures.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

/// A room of 64 x 48 pixels: a wall, a floor, a blue sofa.
pub(crate) fn drawn() -> RgbImage {
    RgbImage::from_fn(64, 48, |x, y| match (x, y) {
        (20..45, 24..38) => Rgb([40, 60, 200]),
        (_, 0..32) => Rgb([230, 225, 210]),
        _ => Rgb([150, 110, 70]),
    })
}

/// The room as PNG.
pub(crate) fn room() -> Vec<u8> {
    written(&drawn().into(), ImageFormat::Png)
}

pub(crate) fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// An OpenAI mask of the room: transparent where the sofa is, or nowhere.
pub(crate) fn mask(transparent: bool) -> Vec<u8> {
    let mask = RgbaImage::from_fn(64, 48, |x, y| {
        let sofa = (20..45).contains(&x) && (24..38).contains(&y);
        Rgba([0, 0, 0, if sofa && transparent { 0 } else { 255 }])
    });
    written(&mask.into(), ImageFormat::Png)
}

/// A PNG whose head claims other dimensions than its pixels have, with a right checksum.
pub(crate) fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut png = room();
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc(&png[12..29]);
    png[29..33].copy_from_slice(&sum.to_be_bytes());
    png
}

/// CRC-32 as PNG has it.
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 {
                (sum >> 1) ^ 0xEDB8_8320
            } else {
                sum >> 1
            }
        })
    })
}
