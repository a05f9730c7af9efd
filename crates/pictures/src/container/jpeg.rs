//! JPEG's segments before the pixels.

use super::resolution::{Length, Resolution};
use super::warning::Warning;
use super::{ICC_BYTES_MAX, Packets};
use crate::jpeg::{EXIF, ICC, XMP, segments};

const XMP_MORE: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
const PICTURES: &[u8] = b"MPF\0";
const GAIN_MAP: &[u8] = b"urn:iso:std:iso:ts:21496:-1\0";

/// What begins APP11 of JPEG's extensions.
const BOXES: &[u8] = b"JP";

/// Whether a box of an extension is one of C2PA, or goes on with one.
fn credentials(data: &[u8]) -> bool {
    // Identifier, number of the box, number of the packet; from the second packet on the box's own head comes again.
    data.get(8..16).is_some_and(|head| head.ends_with(b"jumb"))
}

/// Reads the segments up to the first scan.
pub(crate) fn packets(bytes: &[u8]) -> Packets {
    let mut packets = Packets::default();
    let mut profile = Profile::default();
    for segment in segments(bytes) {
        let Some(data) = segment.data() else { continue };
        match segment.marker {
            0xE0 => {
                if let Some(data) = data.strip_prefix(b"JFIF\0") {
                    packets.resolution = resolution(data);
                }
            }
            0xE1 => {
                if let Some(data) = data.strip_prefix(EXIF) {
                    packets.take_exif(data);
                } else if let Some(data) = data.strip_prefix(XMP) {
                    packets.take_xmp(|| Some(data.into()));
                } else if data.starts_with(XMP_MORE) {
                    packets.warn(Warning::Dropped(
                        "the XMP metadata goes on in further parts",
                    ));
                }
            }
            0xE2 => {
                if let Some(data) = data.strip_prefix(ICC) {
                    profile.add(data);
                } else if data.starts_with(PICTURES) {
                    packets.warn(Warning::Pictures);
                } else if data.starts_with(GAIN_MAP) {
                    packets.warn(Warning::GainMap);
                }
            }
            // Boxes of other standards, all of them about the picture as it was: credentials, further pictures, brightness.
            0xEB if data.starts_with(BOXES) => packets.warn(match credentials(data) {
                true => Warning::Credentials,
                false => Warning::Dropped(
                    "an extension of the file (APP11) belongs to the picture before the edit",
                ),
            }),
            _ => {}
        }
    }
    if profile.broken || profile.count > 0 {
        packets.take_icc(|| profile.whole().map(Into::into));
    }
    packets
}

/// A profile in numbered pieces, which may come in any order.
#[derive(Default)]
struct Profile<'a> {
    pieces: Vec<(u8, &'a [u8])>,
    count: u8,
    broken: bool,
}

impl<'a> Profile<'a> {
    fn add(&mut self, data: &'a [u8]) {
        let [number, count, piece @ ..] = data else {
            self.broken = true;
            return;
        };
        if self.broken {
            return;
        }
        self.broken |= *number == 0
            || number > count
            || (self.count != 0 && self.count != *count)
            || self.pieces.iter().any(|(other, _)| other == number);
        self.count = *count;
        self.pieces.push((*number, piece));
    }

    /// All of it, of which a piece more than is allowed is enough to see that it is too large.
    fn whole(mut self) -> Result<Vec<u8>, &'static str> {
        if self.broken || self.pieces.len() != usize::from(self.count) {
            return Err("pieces of it are missing");
        }
        self.pieces.sort_by_key(|(number, _)| *number);
        let bytes = self.pieces.into_iter().flat_map(|(_, piece)| piece);
        Ok(bytes.copied().take(ICC_BYTES_MAX + 1).collect())
    }
}

/// From what follows JFIF's name.
fn resolution(data: &[u8]) -> Option<Resolution> {
    let &[_, _, unit, a, b, c, d, ..] = data else {
        return None;
    };
    let (x, y) = (
        f64::from(u16::from_be_bytes([a, b])),
        f64::from(u16::from_be_bytes([c, d])),
    );
    if x == 0.0 || y == 0.0 {
        return None;
    }
    match unit {
        1 => Some(Resolution::per_inch(x, y)),
        2 => Some(Resolution {
            x: x * 100.0,
            y: y * 100.0,
            per: Length::Metre,
        }),
        // Square pixels are what anyone expects.
        _ if x == y => None,
        _ => Some(Resolution {
            x,
            y,
            per: Length::Unknown,
        }),
    }
}
