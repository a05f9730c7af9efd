//! Files as people have them.

use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageFormat, Rgb, RgbImage};
use limekiln_pictures::{
    Colors, Error, Format, Limits, Original, Source, Warning, Wish, check, leave_original, probe,
};

use crate::support::{encoded, orientation, picture, read, webp_with, with_chunk, with_segment};

#[test]
fn however_orientation_is_written_the_picture_is_turned() {
    let upright = picture(24, 16);
    let png = encoded(upright.clone(), ImageFormat::Png);
    let jpeg = encoded(upright.clone(), ImageFormat::Jpeg);
    for (kind, prefix) in [(3, &b""[..]), (4, b""), (3, b"Exif\0\0"), (4, b"Exif\0\0")] {
        let block = [prefix, &orientation(kind, 6)].concat();
        let files = [
            with_chunk(&png, b"eXIf", &block),
            webp_with(&upright, b"EXIF", &block),
            with_segment(&jpeg, 0xE1, &[b"Exif\0\0", &block[..]].concat()),
        ];
        for bytes in files {
            let (original, warnings) = read(&bytes);
            let name = (original.format, kind, prefix);
            assert_eq!(
                (original.size(), warnings),
                ((16, 24), Vec::new()),
                "{name:?}"
            );
            assert_eq!(original.metadata.stored, Orientation::Rotate90);
            let head = probe(&bytes, &Limits::UPLOAD).unwrap();
            assert_eq!((head.width, head.height), (16, 24), "{name:?}");
            // A result is stored upright and says so.
            let again = read(&original.encode(Format::Png).unwrap()).0;
            assert_eq!(again.size(), (16, 24));
            assert_eq!(again.metadata.stored, Orientation::NoTransforms);
        }
    }
}

/// A JPEG's start of scan and end marker.
fn places(jpeg: &[u8]) -> (usize, usize) {
    let scan = jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xDA])
        .unwrap();
    (scan, jpeg.len() - 2)
}

#[test]
fn jpegs_with_all_of_their_pixels_are_read() {
    for (name, jpeg) in [
        ("color", encoded(picture(50, 30), ImageFormat::Jpeg)),
        (
            "gray",
            encoded(
                DynamicImage::from(picture(50, 30)).into_luma8(),
                ImageFormat::Jpeg,
            ),
        ),
        ("flat", encoded(RgbImage::new(40, 8), ImageFormat::Jpeg)),
    ] {
        let want = read(&jpeg).0.colors;
        let (scan, end) = places(&jpeg);
        let stray = [&jpeg[..scan], b"\0\0stray", &jpeg[scan..]].concat();
        let trailer = [&jpeg[..end], b"SEFH\x6b\0\0\0\x01\xFF\x4A\0SEFT"].concat();
        let nothing = jpeg[..end].to_vec();
        for (how, bytes) in [
            ("stray", &stray),
            ("trailer", &trailer),
            ("nothing", &nothing),
        ] {
            assert_eq!(check(bytes, &Limits::UPLOAD), Ok(()), "{name} {how}");
            assert_eq!(read(bytes).0.colors, want, "{name} {how}");
        }
        for left in [end - 1, end - 8, scan + 14] {
            let Err(error) = check(&jpeg[..left], &Limits::UPLOAD) else {
                // The last byte may be filling.
                assert_eq!(left, end - 1, "{name}");
                continue;
            };
            assert_eq!(error.code(), "image_damaged", "{name}: {left} of {end}");
        }
    }
}

#[test]
fn what_is_not_read_is_named_with_how_to_convert_it() {
    let brands = |major: &[u8; 4], other: &[u8; 4]| {
        [
            b"\0\0\0\x18ftyp",
            &major[..],
            b"\0\0\0\0",
            other,
            b"\0\0\0\0",
        ]
        .concat()
    };
    let cases = [
        (brands(b"heic", b"mif1"), "HEIC", "heif-convert"),
        (brands(b"mif1", b"heic"), "HEIC", "heif-convert"),
        (brands(b"avif", b"mif1"), "AVIF", "avifdec"),
        (brands(b"mif1", b"avif"), "AVIF", "avifdec"),
        (b"\xFF\x0A rest".to_vec(), "JPEG XL", "djxl"),
        (b"GIF89a".to_vec(), "GIF", "PNG"),
        (b"8BPS\0\x01".to_vec(), "Photoshop", "PNG"),
        (b"II*\0\x10\0\0\0CR\x02\0".to_vec(), "raw (CR2)", "TIFF"),
    ];
    for (bytes, kind, how) in cases {
        let Err(error @ Error::Format { name, .. }) = probe(&bytes, &Limits::UPLOAD) else {
            panic!("{kind}");
        };
        assert_eq!((name, error.code()), (kind, "image_unsupported"));
        assert!(error.to_string().contains(how), "{error}");
    }
}

/// What lies where a picture should, in a checkout without Git LFS or after a download that was refused.
#[test]
fn what_stands_in_for_a_picture_is_named_with_how_to_get_it() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    for (text, what, how) in [
        (pointer, "Git LFS pointer", "git lfs pull"),
        (
            "version https://hawser.github.com/spec/v1\n",
            "Git LFS pointer",
            "git lfs pull",
        ),
        (
            "<!DOCTYPE html><html><body>Sign in",
            "web page",
            "download the file itself",
        ),
        (
            "\u{feff}\n <HTML lang=en><svg/>",
            "web page",
            "download the file itself",
        ),
        (
            "<?xml version='1.0'?>\n<!doctype html>",
            "web page",
            "download the file itself",
        ),
    ] {
        let error = probe(text.as_bytes(), &Limits::UPLOAD).unwrap_err();
        assert_eq!(error.code(), "image_unsupported", "{text}");
        let line = error.to_string();
        assert!(line.contains(what) && line.contains(how), "{line}");
    }
    let line = probe(b"versions", &Limits::UPLOAD).unwrap_err().to_string();
    assert!(line.contains("not a picture"), "{line}");
}

#[test]
fn kinds_of_jpeg_without_a_decoder_are_named() {
    let jpeg = encoded(picture(24, 16), ImageFormat::Jpeg);
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .unwrap();
    let with = |at: usize, byte: u8| {
        let mut other = jpeg.clone();
        other[frame + at] = byte;
        other
    };
    // Height at 5 and 6.
    let mut behind = jpeg.clone();
    behind[frame + 5..frame + 7].fill(0);
    for (bytes, kind, how) in [
        (with(1, 0xC9), "arithmetic-coded JPEG", "jpegtran"),
        (with(1, 0xCA), "arithmetic-coded JPEG", "jpegtran"),
        (with(4, 12), "12-bit JPEG", "16 bits"),
        (with(1, 0xC3), "lossless JPEG", "PNG"),
        (with(1, 0xC5), "hierarchical JPEG", "PNG"),
        // Brightness at half of what the first of two colors has, and three samples in a row.
        (with(14, 0x21), "JPEG of an uncommon sampling", "save it"),
        (with(11, 0x31), "JPEG of an uncommon sampling", "save it"),
        (
            behind,
            "JPEG of a height that stands behind its pixels (DNL)",
            "PNG",
        ),
    ] {
        let Err(error @ Error::Format { name, .. }) = probe(&bytes, &Limits::UPLOAD) else {
            panic!("{kind}");
        };
        assert_eq!(name, kind);
        assert!(error.to_string().contains(how), "{error}");
    }
}

#[test]
fn content_credentials_do_not_outlive_the_picture_that_they_vouch_for() {
    let pixels = picture(20, 10);
    let boxes = b"JP\0\x01\0\0\0\x01\0\0\0\x3Cjumb\0\0\0\x28jumdc2pa";
    let jpeg = encoded(pixels.clone(), ImageFormat::Jpeg);
    let provenance = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta dcterms:provenance='https://example.com/x.c2pa'/>";
    let files = [
        with_segment(&jpeg, 0xEB, boxes),
        with_segment(&jpeg, 0xE1, provenance),
        with_chunk(
            &encoded(pixels.clone(), ImageFormat::Png),
            b"caBX",
            &boxes[8..],
        ),
        webp_with(&pixels, b"C2PA", &boxes[8..]),
    ];
    let matte = image::GrayImage::new(20, 10);
    for (at, file) in files.into_iter().enumerate() {
        let (original, warnings) = read(&file);
        assert_eq!(warnings, [Warning::Credentials], "{at}");
        let source = Some(Source {
            input: &file,
            matte: &matte,
        });
        let left = leave_original(original, source, &Wish::default(), &Limits::UPLOAD).unwrap();
        assert_eq!(left.blocks.is_some(), at < 2, "{at}");
        assert_eq!(read(&left.bytes).1, [], "{at}");
        assert!(!left.bytes.windows(4).any(|four| four == b"jumd"), "{at}");
    }
}

#[test]
fn tiff_is_read() {
    let shallow = picture(20, 12);
    let (original, warnings) = read(&encoded(shallow.clone(), ImageFormat::Tiff));
    assert_eq!((original.format, warnings), (Format::Tiff, Vec::new()));
    assert_eq!(original.colors, Colors::Eight(shallow));
    let deep = ImageBuffer::from_fn(20, 12, |x, y| Rgb([x as u16 * 3001, y as u16 * 5003, 7]));
    let bytes = encoded(DynamicImage::ImageRgb16(deep.clone()), ImageFormat::Tiff);
    assert_eq!(check(&bytes, &Limits::UPLOAD), Ok(()));
    let (original, _) = read(&bytes);
    assert_eq!(original.colors, Colors::Sixteen(deep));
    let again = read(&original.encode(Format::Png).unwrap()).0;
    assert_eq!(again.colors, original.colors);
    let cut = Original::read(&bytes[..bytes.len() / 2], &Limits::UPLOAD);
    assert_eq!(cut.unwrap_err().code(), "image_damaged");
    assert!(original.encode(Format::Tiff).is_err());
}

#[test]
fn second_pictures_and_gain_maps_are_told() {
    let jpeg = encoded(picture(20, 10), ImageFormat::Jpeg);
    let xmp = |inner: &str| {
        let packet = format!("http://ns.adobe.com/xap/1.0/\0<x:xmpmeta {inner}/>");
        with_segment(&jpeg, 0xE1, packet.as_bytes())
    };
    let cases = [
        (with_segment(&jpeg, 0xE2, b"MPF\0II*\0"), Warning::Pictures),
        (
            with_segment(&jpeg, 0xE2, b"urn:iso:std:iso:ts:21496:-1\0rest"),
            Warning::GainMap,
        ),
        (xmp("hdrgm:Version=\"1.0\""), Warning::GainMap),
        (
            with_chunk(
                &encoded(picture(20, 10), ImageFormat::Png),
                b"eXIf",
                b"hello",
            ),
            Warning::Metadata("EXIF"),
        ),
    ];
    for (bytes, warning) in cases {
        let (original, warnings) = read(&bytes);
        assert_eq!(warnings, std::slice::from_ref(&warning));
        let again = original.encode(Format::Jpeg).unwrap();
        assert_eq!(read(&again).1, [], "{warning:?} is gone");
    }
}
