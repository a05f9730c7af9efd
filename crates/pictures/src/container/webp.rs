//! WebP's chunks.

use super::Packets;
use super::warning::Warning;

/// Reads all chunks but those of pixels.
pub(crate) fn packets(bytes: &[u8]) -> Packets {
    let mut packets = Packets::default();
    for (kind, data) in chunks(bytes) {
        match kind {
            b"ICCP" => packets.take_icc(|| Ok(data.into())),
            b"EXIF" => packets.take_exif(data),
            b"XMP " => packets.take_xmp(|| Some(data.into())),
            b"ANMF" => packets.warn(Warning::Pictures),
            b"C2PA" => packets.warn(Warning::Credentials),
            _ => {}
        }
    }
    packets
}

/// Most bytes for each pixel that a decoder holds at once, what it gives out included.
pub(crate) fn pixel_bytes(bytes: &[u8]) -> u64 {
    let has = |kind: &[u8; 4]| chunks(bytes).any(|(one, _)| one == kind);
    if has(b"ALPH") || has(b"ANMF") {
        // Planes 1.5, transparency 1 and the green that it is read from 5, colors 4; or three pictures of four channels.
        12
    } else if has(b"VP8L") {
        // Four channels, and three of them again; the tables of its transforms 1.
        8
    } else {
        // Planes 1.5, colors 3.
        5
    }
}

/// Every whole chunk: its kind and content.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, after) = rest.split_at_checked(8)?;
        let (kind, length) = head.split_at(4);
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let data = after.get(..length)?;
        rest = after.get(length.next_multiple_of(2)..).unwrap_or_default();
        Some((kind, data))
    })
}

/// A file as libwebp writes it, of `size` (width, height), with profile, EXIF and XMP.
pub(crate) fn with_packets(
    file: &[u8],
    (width, height): (u32, u32),
    icc: Option<&[u8]>,
    exif: Option<&[u8]>,
    xmp: Option<&[u8]>,
) -> Vec<u8> {
    if icc.is_none() && exif.is_none() && xmp.is_none() {
        return file.to_vec();
    }
    let (mut pixels, mut alpha) = (Vec::new(), false);
    for (kind, data) in chunks(file) {
        alpha |= kind == b"ALPH";
        if kind != b"VP8X" {
            chunk(&mut pixels, kind, data);
        }
    }
    // The flags say what comes: 32 a profile, 16 transparency, 8 EXIF, 4 XMP. Sides are stored less one, in 24 bits.
    let flag = |there: bool, bit: u8| if there { bit } else { 0 };
    let flags = flag(icc.is_some(), 32)
        | flag(alpha, 16)
        | flag(exif.is_some(), 8)
        | flag(xmp.is_some(), 4);
    let mut head = vec![flags, 0, 0, 0];
    for side in [width, height] {
        head.extend_from_slice(&side.saturating_sub(1).to_le_bytes()[..3]);
    }
    let mut body = b"WEBP".to_vec();
    chunk(&mut body, b"VP8X", &head);
    if let Some(icc) = icc {
        chunk(&mut body, b"ICCP", icc);
    }
    body.append(&mut pixels);
    for (kind, data) in [(b"EXIF", exif), (b"XMP ", xmp)] {
        if let Some(data) = data {
            chunk(&mut body, kind, data);
        }
    }
    let mut out = Vec::with_capacity(body.len() + 8);
    chunk(&mut out, b"RIFF", &body);
    out
}

fn chunk(out: &mut Vec<u8>, kind: &[u8], data: &[u8]) {
    out.extend_from_slice(kind);
    // A picture's file has less than 4 GiB.
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
    if data.len() % 2 == 1 {
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use crate::{Format, Limits, Original, Picture};

    #[test]
    fn a_file_with_loss_carries_what_goes_with_its_pixels() {
        let mut original = Original::from(Picture {
            rgb: RgbImage::from_fn(33, 17, |x, y| Rgb([x as u8 * 7, y as u8 * 15, 90])),
            alpha: Some(image::GrayImage::from_fn(33, 17, |x, _| {
                image::Luma([if x < 9 { 0 } else { 255 }])
            })),
        });
        original.metadata.xmp = Some(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>".to_vec());
        for alpha in [true, false] {
            if !alpha {
                original.alpha = None;
            }
            let file = original.webp_lossy(80).unwrap();
            let (read, warnings) = Original::read(&file, &Limits::ACCEPTED).unwrap();
            assert_eq!((read.size(), read.format), ((33, 17), Format::WebP));
            assert_eq!(read.alpha, original.alpha);
            assert_eq!(read.metadata.xmp, original.metadata.xmp);
            assert_eq!(warnings, []);
            let lossless = original.encode(Format::WebP).unwrap();
            let (own, _) = Original::read(&lossless, &Limits::ACCEPTED).unwrap();
            assert_eq!(own.metadata, read.metadata);
        }
    }
}
