//! EXIF read and patched in place: maker notes hold offsets into the block, so nothing in it may move.

use std::ops::Range;

use image::metadata::Orientation;

use super::resolution::{Resolution, is_turned};
use super::tags::{BYTE, Entry, LONG, SHORT, Tags};

pub(super) const ORIENTATION: u16 = 0x0112;
const WIDTH: u16 = 0x0100;
const HEIGHT: u16 = 0x0101;
const STRIPS: u16 = 0x0111;
const STRIP_BYTES: u16 = 0x0117;
pub(super) const X_RESOLUTION: u16 = 0x011A;
pub(super) const Y_RESOLUTION: u16 = 0x011B;
pub(super) const RESOLUTION_UNIT: u16 = 0x0128;
const THUMBNAIL: u16 = 0x0201;
const THUMBNAIL_BYTES: u16 = 0x0202;
pub(super) const EXIF_IFD: u16 = 0x8769;
pub(super) const INTEROP_IFD: u16 = 0xA005;
const INTEROP_INDEX: u16 = 0x0001;
const COLOR_SPACE: u16 = 0xA001;
const PIXEL_WIDTH: u16 = 0xA002;
const PIXEL_HEIGHT: u16 = 0xA003;

/// An EXIF block from its byte order mark on.
pub(crate) struct Exif(Vec<u8>);

/// A color space that EXIF can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColorSpace {
    Srgb,
    AdobeRgb,
}

impl Exif {
    /// Takes a block as any container has it; some begin with `Exif` and two zeros where they should not.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"Exif\0\0").unwrap_or(bytes);
        let tags = Tags::new(bytes)?;
        tags.count(tags.first()?)?;
        Some(Self(bytes.to_vec()))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// How the picture is stored. Writers use a number of 16 bits here, some one of 32.
    pub(crate) fn orientation(&self) -> Option<Orientation> {
        let tags = self.tags()?;
        let value = tags.value(tags.first()?, ORIENTATION)?;
        Orientation::from_exif(u8::try_from(value).ok()?)
    }

    /// The color space that it names, if any.
    pub(crate) fn color_space(&self) -> Option<ColorSpace> {
        let tags = self.tags()?;
        let exif = tags.child(tags.first()?, EXIF_IFD)?;
        let interop = tags.child(exif, INTEROP_IFD);
        let index = interop.and_then(|interop| tags.data(tags.entry(interop, INTEROP_INDEX)?));
        let is_r03 = index.is_some_and(|index| index.starts_with(b"R03"));
        match tags.value(exif, COLOR_SPACE) {
            Some(2) => Some(ColorSpace::AdobeRgb),
            Some(0xFFFF) | None if is_r03 => Some(ColorSpace::AdobeRgb),
            Some(1) => Some(ColorSpace::Srgb),
            _ => None,
        }
    }

    /// Pixels per length as stored, not turned.
    pub(crate) fn resolution(&self) -> Option<Resolution> {
        let tags = self.tags()?;
        resolution(&tags, tags.first()?)
    }

    /// Says that the picture is stored upright, and drops the thumbnail, which shows the picture before the edit.
    pub(crate) fn reset(&mut self) {
        let turned = self.orientation().is_some_and(is_turned);
        let Some(first) = self.tags().and_then(|tags| tags.first()) else {
            return;
        };
        self.set(first, ORIENTATION, 1);
        if turned {
            self.swap(first, X_RESOLUTION, Y_RESOLUTION);
        }
        self.unlink_thumbnail(first);
    }

    /// Drops the thumbnail, which shows the picture before the edit.
    pub(crate) fn drop_thumbnail(&mut self) {
        if let Some(first) = self.tags().and_then(|tags| tags.first()) {
            self.unlink_thumbnail(first);
        }
    }

    /// Says how large the picture is, wherever it says so already.
    pub(crate) fn set_size(&mut self, width: u32, height: u32) {
        let Some(first) = self.tags().and_then(|tags| tags.first()) else {
            return;
        };
        self.set(first, WIDTH, width);
        self.set(first, HEIGHT, height);
        if let Some(exif) = self.tags().and_then(|tags| tags.child(first, EXIF_IFD)) {
            self.set(exif, PIXEL_WIDTH, width);
            self.set(exif, PIXEL_HEIGHT, height);
        }
    }

    fn tags(&self) -> Option<Tags<'_>> {
        Tags::new(&self.0)
    }

    /// Unlinks the second directory and blanks the picture that it points to.
    fn unlink_thumbnail(&mut self, first: usize) {
        let Some((link, pictures)) = self.tags().and_then(|tags| thumbnails(&tags, first)) else {
            return;
        };
        for range in pictures {
            let end = range.end.min(self.0.len());
            if end == self.0.len() && range.start > link + 4 {
                self.0.truncate(range.start);
            } else if let Some(picture) = self.0.get_mut(range.start..end) {
                picture.fill(0);
            }
        }
        if let Some(link) = self.0.get_mut(link..link + 4) {
            link.fill(0);
        }
    }

    /// Exchanges the values of two entries of one type.
    fn swap(&mut self, directory: usize, one: u16, other: u16) {
        let entries = self
            .tags()
            .and_then(|tags| Some((tags.entry(directory, one)?, tags.entry(directory, other)?)));
        if let Some((one, other)) = entries
            && one.kind == other.kind
        {
            (8..12).for_each(|offset| self.0.swap(one.at + offset, other.at + offset));
        }
    }

    /// Overwrites the value of an entry that holds one number; one too large for its type stays.
    fn set(&mut self, directory: usize, tag: u16, value: u32) {
        let Some((place, bytes)) = self.tags().and_then(|tags| {
            let entry = tags.entry(directory, tag)?;
            Some((entry.at + 8, number_of(&tags, entry, value)?))
        }) else {
            return;
        };
        if let Some(place) = self.0.get_mut(place..place + bytes.len()) {
            place.copy_from_slice(&bytes);
        }
    }
}

/// Pixels per length that a directory tells.
pub(super) fn resolution(tags: &Tags<'_>, directory: usize) -> Option<Resolution> {
    let x = tags.rational(directory, X_RESOLUTION)?;
    let y = tags.rational(directory, Y_RESOLUTION)?;
    match tags.value(directory, RESOLUTION_UNIT) {
        Some(2) | None => Some(Resolution::per_inch(x, y)),
        Some(3) => Some(Resolution::per_inch(x * 2.54, y * 2.54)),
        _ => None,
    }
}

/// Where the first directory's link to the second is, and the pictures of that one.
fn thumbnails(tags: &Tags<'_>, first: usize) -> Option<(usize, Vec<Range<usize>>)> {
    let (link, second) = (tags.link(first)?, tags.next(first)?);
    let place = |at, count| {
        let (at, count) = (
            tags.value(second, at)? as usize,
            tags.value(second, count)? as usize,
        );
        (at >= 8).then_some(at..at.checked_add(count)?)
    };
    let places = [
        place(THUMBNAIL, THUMBNAIL_BYTES),
        place(STRIPS, STRIP_BYTES),
    ];
    Some((link, places.into_iter().flatten().collect()))
}

/// A number as an entry of this type holds it.
fn number_of(tags: &Tags<'_>, entry: Entry, value: u32) -> Option<Vec<u8>> {
    match (entry.kind, entry.count) {
        (SHORT, 1) => Some(tags.two(u16::try_from(value).ok()?).into()),
        (LONG, 1) => Some(tags.four(value).into()),
        (BYTE, 1) => Some(vec![u8::try_from(value).ok()?]),
        _ => None,
    }
}
