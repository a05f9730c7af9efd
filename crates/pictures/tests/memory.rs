//! How much memory pictures take, measured. One test, since the peak is the process' own.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{Cursor, Write};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use limekiln_pictures::{
    Format, Limits, Original, Probe, Source, Wish, check, leave, leave_bytes, probe,
};

const MIB: u64 = 1 << 20;

/// The most memory this process had since the last call, and what it has now, in bytes.
fn peak_and_now() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let value = |key: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap();
        let kib: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
        kib * 1024
    };
    // 5 sets the peak back to what is in use now.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    (value("VmHWM:"), value("VmRSS:"))
}

/// The most that a call takes beside what there was before.
fn taken<T>(call: impl FnOnce() -> T) -> (T, u64) {
    let (_, before) = peak_and_now();
    let made = call();
    (made, peak_and_now().0.saturating_sub(before))
}

/// A picture of 40 megapixels, 16 bits a channel, in half a megabyte.
fn deep() -> Vec<u8> {
    let (width, height) = (8000, 5000);
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Sixteen);
    let mut writer = encoder.write_header().unwrap();
    let mut rows = writer.stream_writer().unwrap();
    let row: Vec<u8> = (0..width * 8).map(|at| (at / 4096) as u8).collect();
    for _ in 0..height {
        rows.write_all(&row).unwrap();
    }
    rows.finish().unwrap();
    writer.finish().unwrap();
    bytes.into_inner()
}

#[test]
fn pictures_take_no_more_than_their_heads_say() {
    let bytes = deep();
    assert!(bytes.len() < 2_000_000, "{}", bytes.len());
    let head = probe(&bytes, &Limits::UPLOAD).unwrap();
    let ((), taken_by_check) = taken(|| check(&bytes, &Limits::UPLOAD).unwrap());
    assert!(taken_by_check <= head.check_bytes + MIB, "{taken_by_check}");
    assert!(
        head.check_bytes < 2 * MIB,
        "a few rows: {}",
        head.check_bytes
    );
    within(&bytes, head);
    assert!(head.decode_bytes < 312 * MIB, "{}", head.decode_bytes);

    let flat = |format| {
        let picture = DynamicImage::new_rgb8(3000, 2000);
        let picture = match format {
            ImageFormat::WebP => DynamicImage::ImageRgba8(picture.into_rgba8()),
            _ => picture,
        };
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    // Of 48 megapixels, what a gateway holds at once by default is enough to check a WebP, and to make one.
    let bytes = flat(ImageFormat::WebP);
    let head = probe(&bytes, &Limits::UPLOAD).unwrap();
    assert!(8 * head.check_bytes < 400 * MIB, "{}", head.check_bytes);
    for format in [ImageFormat::Jpeg, ImageFormat::WebP] {
        let bytes = flat(format);
        let head = probe(&bytes, &Limits::UPLOAD).unwrap();
        let ((), taken_by_check) = taken(|| check(&bytes, &Limits::UPLOAD).unwrap());
        assert!(
            taken_by_check <= head.check_bytes + MIB,
            "{format:?}: {taken_by_check} of {}",
            head.check_bytes
        );
        within(&bytes, head);
    }
    leaving();
}

/// Results as JPEGs, with the blocks of their input and without, and smaller ones.
fn leaving() {
    let (width, height) = (3200, 2400);
    let noise = RgbImage::from_fn(width, height, |x, y| {
        let value = (x * 31 + y * 17) ^ (x * y);
        Rgb([value as u8, (value >> 3) as u8, (value >> 5) as u8])
    });
    let mut input = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut input, 80);
    noise.write_with_encoder(encoder).unwrap();
    let input = input.into_inner();
    let mut stored = Cursor::new(Vec::new());
    noise.write_to(&mut stored, ImageFormat::Png).unwrap();
    let stored = stored.into_inner();
    drop(noise);
    let matte = GrayImage::from_fn(width, height, |x, _| Luma([u8::from(x < 900)]));
    let source = Some(Source {
        input: &input,
        matte: &matte,
    });
    let wishes = [
        (None, None, None),
        (Some(Format::Jpeg), Some(95), None),
        (Some(Format::Png), None, Some(1000)),
        (Some(Format::Jpeg), None, Some(1000)),
        (Some(Format::WebP), None, None),
        (Some(Format::WebP), Some(80), None),
        (Some(Format::WebP), Some(99), None),
    ];
    for (format, quality, max_side) in wishes {
        let wish = Wish {
            format,
            quality,
            max_side,
            ..Wish::default()
        };
        let most = leave_bytes(&stored, source, &wish, &Limits::ACCEPTED).unwrap();
        let (left, taken) = taken(|| leave(&stored, source, &wish, &Limits::ACCEPTED).unwrap());
        assert_eq!(left.blocks.is_some(), format.is_none());
        assert!(
            most < 14 * taken.max(10 * MIB),
            "{wish:?}: {taken} of {most}"
        );
        assert!(taken <= most + MIB, "{wish:?}: {taken} of {most}");
        if format == Some(Format::WebP) {
            let (pixels, of) = (u64::from(width * height), 48_000_000);
            assert!(of * most / pixels < 800 * MIB, "{wish:?}: {most}");
        }
    }
}

fn within(bytes: &[u8], head: Probe) {
    let ((picture, _), taken) = taken(|| Original::read(bytes, &Limits::UPLOAD).unwrap());
    assert!(
        taken <= head.decode_bytes + MIB,
        "{:?}: {taken} of {}",
        head.format,
        head.decode_bytes
    );
    let (width, height) = picture.size();
    let channels = if picture.alpha.is_some() { 4 } else { 3 };
    let kept = u64::from(width) * u64::from(height) * channels * picture.depth().bytes();
    assert!(kept <= head.picture_bytes);
}
