//! What a file is, by its content and not by its name.

use crate::error::{Error, Result};
use crate::format::Format;

const ANY: &str = "convert it to PNG, JPEG, WebP or TIFF";
const HEIC: &str = "convert it, such as by `heif-convert photo.heic photo.jpg`, or on a Mac `sips -s format jpeg photo.heic --out \
    photo.jpg`; phones share a JPEG where asked for the most compatible format";
const AVIF: &str = "convert it, such as by `avifdec photo.avif photo.png`";
const JXL: &str = "convert it, such as by `djxl photo.jxl photo.png`";
const RAW: &str = "develop it, and export a TIFF of 16 bits or a JPEG";
const SVG: &str =
    "draw it at the size that you need, such as by `rsvg-convert picture.svg -o picture.png`";

/// How the text begins that Git has in a file's place where Git LFS has not put the file there; the second is of before 2014.
const POINTERS: [&str; 2] = [
    "version https://git-lfs.github.com/",
    "version https://hawser.github.com/",
];

/// The format of a file.
///
/// # Errors
///
/// For a file that is not read, with what it is and how to convert it.
pub(crate) fn format_of(bytes: &[u8]) -> Result<Format> {
    let unread = |name, how| Err(Error::Format { name, how });
    let brand = match bytes.get(4..8) {
        Some(b"ftyp") => bytes.get(8..12),
        _ => None,
    };
    match brand {
        Some(b"avif" | b"avis") => return unread("AVIF", AVIF),
        Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1") => {
            return match holds(bytes, b"avif") {
                true => unread("AVIF", AVIF),
                false => unread("HEIC", HEIC),
            };
        }
        Some(b"crx ") => return unread("raw (CR3)", RAW),
        Some(b"jxl ") => return unread("JPEG XL", JXL),
        Some(b"jp2 " | b"jpx ") => return unread("JPEG 2000", ANY),
        Some(_) => return unread("video", "take a still of it as PNG, JPEG, WebP or TIFF"),
        None => {}
    }
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(Format::Png),
        [0xFF, 0xD8, 0xFF, ..] => Ok(Format::Jpeg),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Ok(Format::WebP),
        [b'I', b'I', b'*', 0, _, _, _, _, b'C', b'R', ..] => unread("raw (CR2)", RAW),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Ok(Format::Tiff),
        [b'I', b'I', b'+', 0, ..] | [b'M', b'M', 0, b'+', ..] => unread("BigTIFF", ANY),
        [b'I', b'I', b'R', b'O', ..] | [b'I', b'I', b'U', 0, ..] => unread("raw", RAW),
        [b'F', b'U', b'J', b'I', b'F', b'I', b'L', b'M', ..] => unread("raw (RAF)", RAW),
        [b'G', b'I', b'F', b'8', ..] => unread("GIF", ANY),
        [b'B', b'M', ..] => unread("BMP", ANY),
        [b'8', b'B', b'P', b'S', ..] => unread("Photoshop", ANY),
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => unread("JPEG XL", JXL),
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => {
            unread("JPEG 2000", ANY)
        }
        [0x76, 0x2F, 0x31, 0x01, ..] => unread("OpenEXR", ANY),
        [b'#', b'?', b'R', b'A', b'D', ..] => unread("Radiance HDR", ANY),
        [b'q', b'o', b'i', b'f', ..] => unread("QOI", ANY),
        [b'%', b'P', b'D', b'F', ..] => unread("PDF", "export the page as PNG, JPEG or TIFF"),
        [b'P', b'1'..=b'7', b'\n' | b' ' | b'\r' | b'#', ..] => unread("Netpbm", ANY),
        [0, 0, 1, 0, ..] => unread("ICO", ANY),
        _ => Err(of_text(bytes)),
    }
}

/// Whether the brands that follow the first one name this one.
fn holds(bytes: &[u8], brand: &[u8; 4]) -> bool {
    let length = bytes.get(..4).and_then(|length| length.try_into().ok());
    let end = length.map_or(0, u32::from_be_bytes).min(256) as usize;
    let brands = bytes.get(16..end.min(bytes.len())).unwrap_or_default();
    brands.as_chunks::<4>().0.contains(brand)
}

/// What a file is that begins as no picture of pixels does.
fn of_text(bytes: &[u8]) -> Error {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).to_lowercase();
    let head = head.trim_start_matches('\u{feff}').trim_start();
    let xml = head.starts_with("<?xml");
    let begins = |tag: &str| head.starts_with(tag) || (xml && head.contains(tag));
    if POINTERS.iter().any(|first| head.starts_with(first)) {
        Error::StandIn {
            what: "Git LFS pointer",
            how: "fetch the picture with `git lfs pull`",
        }
    } else if begins("<!doctype html") || begins("<html") {
        Error::StandIn {
            what: "web page",
            how: "download the file itself",
        }
    } else if begins("<svg") {
        Error::Format {
            name: "SVG",
            how: SVG,
        }
    } else {
        Error::NotAPicture
    }
}
