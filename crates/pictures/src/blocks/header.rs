//! What stands before a JPEG's tables: the input's own segments, but for what shows the picture before the edit.

use image::metadata::Orientation;

use super::Kept;
use crate::container::Exif;
use crate::jpeg::{EXIF, ICC, XMP, segments};
use crate::original::without_pictures;

const JFIF: &[u8] = b"JFIF\0";
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
/// Segments that hold, point to or vouch for other pictures: thumbnails of JFIF, further pictures behind this one, gain maps,
/// further parts of XMP, where phones keep the whole picture, and boxes of extensions, such as content credentials.
const PICTURES: [(u8, &[u8]); 5] = [
    (0xE0, b"JFXX\0"),
    (0xE2, b"MPF\0"),
    (0xE2, b"urn:iso:std:iso:ts:21496:-1\0"),
    (0xE1, b"http://ns.adobe.com/xmp/extension/\0"),
    (0xEB, b"JP"),
];
/// Photoshop's resources that are thumbnails.
const THUMBNAILS: [u16; 2] = [0x0409, 0x040C];

/// `file` behind the segments of `input`, as far as they are kept: JFIF's and Adobe's, which say what the samples mean, and
/// how the picture lies, go through in any case.
pub(super) fn with(file: &[u8], input: &[u8], stored: Orientation, keep: Kept) -> Vec<u8> {
    let (start, rest) = file.split_at(2.min(file.len()));
    let mut out = start.to_vec();
    for segment in segments(input) {
        let Some(data) = segment.data() else { continue };
        let keep = match segment.marker {
            0xE0 => true,
            0xEE => keep.adobe,
            0xE2 if data.starts_with(ICC) => keep.profile,
            _ => keep.metadata,
        };
        if keep && let Some(data) = kept(segment.marker, data) {
            put(&mut out, segment.marker, &data);
        }
    }
    if !keep.metadata && stored != Orientation::NoTransforms {
        put(&mut out, 0xE1, &orientation(stored));
    }
    out.extend_from_slice(rest);
    out
}

/// A segment's data as the result has it; none where the result has no such segment.
fn kept(marker: u8, data: &[u8]) -> Option<Vec<u8>> {
    if !matches!(marker, 0xE0..=0xEF | 0xFE)
        || PICTURES
            .iter()
            .any(|(of, picture)| marker == *of && data.starts_with(picture))
    {
        return None;
    }
    match marker {
        // Version, unit and density; after them the size of a thumbnail, and that.
        0xE0 if data.starts_with(JFIF) => {
            let head = data.get(..12)?;
            Some([head, &[0, 0]].concat())
        }
        0xE1 if data.starts_with(EXIF) => {
            // What can't be read can't be freed of its thumbnail.
            let mut exif = Exif::new(data)?;
            exif.drop_thumbnail();
            Some([EXIF, &exif.into_bytes()].concat())
        }
        0xE1 if data.starts_with(XMP) => {
            Some([XMP, &without_pictures(&data[XMP.len()..])].concat())
        }
        0xED if data.starts_with(PHOTOSHOP) => photoshop(data),
        _ => Some(data.to_vec()),
    }
}

/// Photoshop's resources without thumbnails; as they are where they can't be read.
fn photoshop(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = PHOTOSHOP.to_vec();
    let mut rest = data.get(PHOTOSHOP.len()..)?;
    while let Some(after) = rest.strip_prefix(b"8BIM") {
        let resource = || {
            let id = u16::from_be_bytes(after.get(..2)?.try_into().ok()?);
            // A name with its length before it, and the data with theirs, each padded to an even number of bytes.
            let name = (1 + usize::from(*after.get(2)?)).next_multiple_of(2);
            let length = after.get(2 + name..6 + name)?.try_into().ok()?;
            let whole = (u32::from_be_bytes(length) as usize).checked_next_multiple_of(2)?;
            Some((id, (4 + 6 + name).checked_add(whole)?))
        };
        let Some((id, length)) = resource() else {
            break;
        };
        let Some((whole, next)) = rest.split_at_checked(length) else {
            break;
        };
        if !THUMBNAILS.contains(&id) {
            out.extend_from_slice(whole);
        }
        rest = next;
    }
    out.extend_from_slice(rest);
    Some(out)
}

/// An EXIF block that says how the picture lies, and nothing else.
fn orientation(stored: Orientation) -> Vec<u8> {
    // Big-endian, one directory; in it one entry, of tag 0x0112 and one 16-bit number.
    let tiff: &[u8] = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0";
    [EXIF, tiff, &[stored.to_exif()], &[0; 6]].concat()
}

fn put(out: &mut Vec<u8>, marker: u8, data: &[u8]) {
    // What is read from a segment, or is shorter, has a length that fits.
    let Ok(length) = u16::try_from(data.len() + 2) else {
        return;
    };
    out.extend([0xFF, marker]);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(data);
}
