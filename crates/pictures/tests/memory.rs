//! How much memory pictures take, measured. One test, since the peak is the process' own.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{Cursor, Write};

use image::{DynamicImage, ImageFormat};
use limekiln_pictures::{Limits, Original, Probe, check, probe};

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
