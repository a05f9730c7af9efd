//! Pictures in and out.
#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on should stop where it is"
)]

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use limekiln_pictures::compose::paste;
use limekiln_pictures::{Error, Format, Limits, Picture, decode, encode, mask_decode, probe};

fn encoded(pixels: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    pixels.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn noise(width: u32, height: u32) -> RgbImage {
    let mut state = 1u32;
    RgbImage::from_fn(width, height, |_, _| {
        Rgb([(); 3].map(|()| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }))
    })
}

/// A JPEG that lies on its side: EXIF says to turn it by 90 degrees.
fn turned(width: u32, height: u32) -> Vec<u8> {
    let jpeg = encoded(noise(width, height), ImageFormat::Jpeg);
    let exif: &[u8] = &[
        0xFF, 0xE1, 0, 34, b'E', b'x', b'i', b'f', 0, 0, b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 1, 1,
        0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0,
    ];
    [&jpeg[..2], exif, &jpeg[2..]].concat()
}

#[test]
fn a_head_says_what_decoding_gives() {
    let formats = [
        (ImageFormat::Png, Format::Png, "image/png"),
        (ImageFormat::Jpeg, Format::Jpeg, "image/jpeg"),
        (ImageFormat::WebP, Format::WebP, "image/webp"),
    ];
    for (written, format, media_type) in formats {
        let bytes = encoded(noise(30, 20), written);
        let head = probe(&bytes, &Limits::UPLOAD).unwrap();
        assert_eq!((head.format, head.width, head.height), (format, 30, 20));
        assert_eq!(head.format.media_type(), media_type);
        let picture = decode(&bytes, &Limits::UPLOAD).unwrap();
        assert_eq!(picture.rgb.dimensions(), (30, 20));
    }
    let bytes = turned(30, 20);
    let head = probe(&bytes, &Limits::UPLOAD).unwrap();
    assert_eq!((head.width, head.height), (20, 30));
    let picture = decode(&bytes, &Limits::UPLOAD).unwrap();
    assert_eq!(picture.rgb.dimensions(), (20, 30));
}

#[test]
fn limits_hold_before_anything_is_decoded() {
    let limits = Limits {
        bytes_max: 10_000,
        side_max: 100,
        pixels_max: 5_000,
        ..Limits::UPLOAD
    };
    let flat = |width, height| encoded(RgbImage::new(width, height), ImageFormat::Png);
    let cases = [
        (Vec::new(), "image_empty"),
        (vec![0; 10_001], "image_bytes_limit"),
        (flat(101, 10), "image_pixels_limit"),
        (flat(90, 90), "image_pixels_limit"),
        (b"no picture at all".to_vec(), "image_unsupported"),
        (b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), "image_unsupported"),
    ];
    for (bytes, code) in cases {
        assert_eq!(probe(&bytes, &limits).unwrap_err().code(), code);
        assert_eq!(decode(&bytes, &limits).unwrap_err().code(), code);
    }
    let cut = &encoded(noise(40, 40), ImageFormat::Png)[..1000];
    assert!(probe(cut, &limits).is_ok(), "its head is fine");
    assert_eq!(decode(cut, &limits).unwrap_err().code(), "image_damaged");
}

#[test]
fn masks_have_the_pictures_size_and_some_white() {
    let mask = |level| encoded(GrayImage::from_pixel(8, 6, Luma([level])), ImageFormat::Png);
    let white = mask_decode(&mask(200), (8, 6), &Limits::UPLOAD).unwrap();
    assert!(white.iter().all(|&value| value == 255));
    assert_eq!(
        mask_decode(&mask(100), (8, 6), &Limits::UPLOAD),
        Err(Error::MaskEmpty)
    );
    let error = mask_decode(&mask(200), (6, 8), &Limits::UPLOAD).unwrap_err();
    assert_eq!(error.code(), "mask_size");
    // What is transparent is black.
    let clear = RgbaImage::from_pixel(8, 6, Rgba([255, 255, 255, 0]));
    assert_eq!(
        mask_decode(&encoded(clear, ImageFormat::Png), (8, 6), &Limits::UPLOAD),
        Err(Error::MaskEmpty)
    );
}

#[test]
fn files_are_a_function_of_pixels_and_previews_are_small() {
    let picture = noise(300, 200);
    let png = encode::png(&picture.clone().into()).unwrap();
    assert_eq!(png, encode::png(&picture.clone().into()).unwrap());
    assert_eq!(decode(&png, &Limits::UPLOAD).unwrap().rgb, picture);
    let jpeg = encode::preview(&picture, 96, 4096).unwrap().unwrap();
    assert!(jpeg.len() <= 4096);
    let head = probe(&jpeg, &Limits::UPLOAD).unwrap();
    assert_eq!(
        (head.format, head.width, head.height),
        (Format::Jpeg, 96, 64)
    );
    assert_eq!(encode::preview(&picture, 96, 100).unwrap(), None);
}

#[test]
fn outside_the_seam_a_pasted_picture_is_its_input() {
    let (picture, edited) = (noise(256, 256), RgbImage::new(128, 128));
    let roi = GrayImage::from_fn(256, 256, |x, y| {
        Luma([if x < 64 && y < 64 { 255 } else { 0 }])
    });
    let (result, seam) = paste(&picture, &edited, Some(&roi));
    assert_eq!(result.dimensions(), (256, 256));
    assert_eq!((seam.feather_px, seam.changed_outside_px), (2, 0));
    assert_eq!(result.get_pixel(10, 10), &Rgb([0; 3]));
    assert_eq!(result.get_pixel(200, 200), picture.get_pixel(200, 200));
    let clear = Picture {
        rgb: picture,
        alpha: Some(GrayImage::from_pixel(256, 256, Luma([7]))),
    };
    let clear = DynamicImage::from(clear.with_colors(result)).to_rgba8();
    assert!(clear.pixels().all(|pixel| pixel.0[3] == 7));
}
