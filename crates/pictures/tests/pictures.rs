//! Pictures in and out.
#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on should stop where it is"
)]

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use limekiln_pictures::compose::paste;
use limekiln_pictures::{
    Error, Format, Limits, Original, Picture, check, decode, encode, mask_decode, opacity_decode,
    probe,
};

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
    let original = Original::from(picture.clone());
    let pasted = paste(&original, &edited.into(), Some(&roi));
    let (result, seam) = (pasted.result.into_picture().rgb, pasted.seam);
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

/// Every kind of pixel that PNG has, from a small generator.
fn kinds() -> Vec<DynamicImage> {
    let deep = DynamicImage::from(noise(31, 17)).into_rgba16();
    let deep = image::ImageBuffer::from_fn(31, 17, |x, y| {
        let pixel = deep.get_pixel(x, y).0;
        Rgba(pixel.map(|value| {
            value
                .wrapping_mul(257 + x as u16)
                .wrapping_add(y as u16 * 911)
        }))
    });
    let deep = DynamicImage::ImageRgba16(deep);
    vec![
        deep.to_luma8().into(),
        deep.to_luma_alpha8().into(),
        deep.to_rgb8().into(),
        deep.to_rgba8().into(),
        deep.to_luma16().into(),
        deep.to_luma_alpha16().into(),
        deep.to_rgb16().into(),
        deep,
    ]
}

#[test]
fn rows_give_what_the_whole_gives() {
    for pixels in kinds() {
        let kind = pixels.color();
        let bytes = encoded(pixels, ImageFormat::Png);
        let whole = image::load_from_memory(&bytes).unwrap();
        let picture = decode(&bytes, &Limits::UPLOAD).unwrap();
        assert_eq!(picture.rgb, whole.to_rgb8(), "{kind:?}");
        let alpha: Vec<u8> = whole.to_rgba8().pixels().map(|pixel| pixel.0[3]).collect();
        let found = picture
            .alpha
            .map_or(vec![255; alpha.len()], |alpha| alpha.into_raw());
        assert_eq!(found, alpha, "{kind:?}");
        let opacity = opacity_decode(&bytes, (31, 17), &Limits::UPLOAD).unwrap();
        assert_eq!(opacity.into_raw(), alpha, "{kind:?}");
        assert_eq!(check(&bytes, &Limits::UPLOAD), Ok(()));
        let cut = &bytes[..bytes.len() - 30];
        assert_eq!(
            check(cut, &Limits::UPLOAD).unwrap_err().code(),
            "image_damaged",
            "{kind:?}"
        );
    }
}

/// A PNG of gray values whose rows come in Adam7's seven passes, with nothing compressed.
fn interlaced(pixels: &GrayImage) -> Vec<u8> {
    let (width, height) = pixels.dimensions();
    let passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    let mut raw = Vec::new();
    for (x0, y0, dx, dy) in passes {
        for y in (y0..height).step_by(dy).filter(|_| x0 < width) {
            raw.push(0);
            raw.extend((x0..width).step_by(dx).map(|x| pixels.get_pixel(x, y).0[0]));
        }
    }
    let (mut a, mut b) = (1u32, 0u32);
    for byte in &raw {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    let length = raw.len() as u16;
    let mut zlib = vec![0x78, 1, 1];
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(raw);
    zlib.extend((b << 16 | a).to_be_bytes());
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([8, 0, 0, 0, 1]);
    for (kind, data) in [(b"IHDR", head), (b"IDAT", zlib), (b"IEND", Vec::new())] {
        png.extend((data.len() as u32).to_be_bytes());
        let named = [&kind[..], &data].concat();
        png.extend(&named);
        png.extend(crc(&named).to_be_bytes());
    }
    png
}

fn crc(bytes: &[u8]) -> u32 {
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

#[test]
fn interlaced_rows_are_put_where_they_belong() {
    let pixels = DynamicImage::from(noise(13, 11)).into_luma8();
    let bytes = interlaced(&pixels);
    assert_eq!(check(&bytes, &Limits::UPLOAD), Ok(()));
    let head = probe(&bytes, &Limits::UPLOAD).unwrap();
    assert!(
        head.decode_bytes >= head.check_bytes + 13 * 11 * 4,
        "the whole frame is held"
    );
    let picture = decode(&bytes, &Limits::UPLOAD).unwrap();
    assert_eq!(picture.rgb, DynamicImage::from(pixels).into_rgb8());
}
