//! TIFF's first directory. A TIFF file is what EXIF blocks are made of, so what such a block would hold is copied into one.

use super::exif::{
    EXIF_IFD, INTEROP_IFD, ORIENTATION, RESOLUTION_UNIT, X_RESOLUTION, Y_RESOLUTION, resolution,
};
use super::tags::{Entry, IFD, LONG, Tags};
use super::warning::Warning;
use super::{PACKET_BYTES_MAX, Packets};
use crate::error::{Error, Result};

const ICC: u16 = 0x8773;
const XMP: u16 = 0x02BC;
const C2PA: u16 = 0xCD41;
const KIND: u16 = 0x00FE;
const SUB_IFDS: u16 = 0x014A;
const DNG_VERSION: u16 = 0xC612;
const EXTRA_SAMPLES: u16 = 0x0152;
const GPS_IFD: u16 = 0x8825;
/// Holds offsets that are wrong anywhere else.
const MAKER_NOTE: u16 = 0x927C;

/// Tags of the first directory that tell about the picture and not of how it is stored: description, camera, software, time,
/// artist, copyright, and the names that Windows gives.
const TOLD: [u16; 16] = [
    0x010D,
    0x010E,
    0x010F,
    0x0110,
    ORIENTATION,
    X_RESOLUTION,
    Y_RESOLUTION,
    RESOLUTION_UNIT,
    0x0131,
    0x0132,
    0x013B,
    0x013C,
    0x4746,
    0x8298,
    EXIF_IFD,
    GPS_IFD,
];

/// Reads the first directory.
///
/// # Errors
///
/// For raw files of cameras, whose first picture is a small preview, and for what would be read wrongly.
pub(crate) fn packets(bytes: &[u8]) -> Result<Packets> {
    let mut packets = Packets::default();
    let Some((tags, first)) = Tags::new(bytes).and_then(|tags| Some((tags, tags.first()?))) else {
        return Ok(packets);
    };
    let preview = tags.value(first, KIND).is_some_and(|kind| kind & 1 == 1);
    if tags.entry(first, DNG_VERSION).is_some()
        || (preview && tags.entry(first, SUB_IFDS).is_some())
    {
        return Err(Error::Format {
            name: "raw",
            how: "develop it, and export a TIFF of 16 bits or a JPEG",
        });
    }
    if tags.value(first, EXTRA_SAMPLES) == Some(1) {
        return Err(Error::Unsupported {
            format: "TIFF",
            what: "colors multiplied by their opacity".to_owned(),
        });
    }
    let data = |tag| tags.data(tags.entry(first, tag)?);
    if let Some(icc) = data(ICC) {
        packets.take_icc(|| Ok(icc.into()));
    }
    if let Some(xmp) = data(XMP) {
        packets.take_xmp(|| Some(xmp.into()));
    }
    packets.resolution = resolution(&tags, first);
    if tags.entry(first, C2PA).is_some() {
        packets.warn(Warning::Credentials);
    }
    if tags.next(first).is_some() {
        packets.warn(Warning::Pictures);
    }
    let told = |tag: u16| TOLD.contains(&tag) || (0x9C9B..=0x9C9F).contains(&tag);
    let mut block = Block::new(&tags);
    block.directory(first, told, 0);
    match block.full {
        false => packets.take_exif(&block.bytes),
        true => packets.warn(Warning::Dropped("the EXIF metadata is larger than 4 MiB")),
    }
    Ok(packets)
}

/// An EXIF block being written in the byte order of the file.
struct Block<'a> {
    tags: Tags<'a>,
    bytes: Vec<u8>,
    /// Whether there was more than a packet may have. Entries may all lead to the same megabytes.
    full: bool,
}

impl<'a> Block<'a> {
    fn new(tags: &Tags<'a>) -> Self {
        let mark = if tags.big { b"MM\0*" } else { b"II*\0" };
        let bytes = [&mark[..], &tags.four(8)].concat();
        Self {
            tags: *tags,
            bytes,
            full: false,
        }
    }

    /// Appends a directory with its values and, below it, those that it leads to.
    fn directory(&mut self, directory: usize, wanted: fn(u16) -> bool, level: u8) {
        let entries: Vec<(u16, Entry, &[u8])> = self
            .tags
            .entries(directory)
            .filter(|(tag, _)| wanted(*tag) && *tag != MAKER_NOTE)
            .filter_map(|(tag, entry)| Some((tag, entry, self.tags.data(entry)?)))
            .collect();
        self.full |= self.bytes.len() + entries.len() * 12 > PACKET_BYTES_MAX;
        if self.full {
            return;
        }
        let at = self.bytes.len();
        self.bytes.extend(self.tags.two(entries.len() as u16));
        // Twelve bytes an entry, and no next directory.
        self.bytes.resize(at + 2 + entries.len() * 12 + 4, 0);
        for (index, (tag, entry, data)) in entries.into_iter().enumerate() {
            let child = matches!(tag, EXIF_IFD | GPS_IFD | INTEROP_IFD) && level < 2;
            let (kind, count, value) = match self.tags.number(entry).filter(|_| child) {
                Some(below) if !self.full => {
                    let start = self.aligned();
                    self.directory(below as usize, |_| true, level + 1);
                    let kind = if entry.kind == IFD { IFD } else { LONG };
                    (kind, 1, self.tags.four(start))
                }
                _ => (entry.kind, entry.count, self.value(data)),
            };
            let place = at + 2 + index * 12;
            let written = [
                &self.tags.two(tag)[..],
                &self.tags.two(kind),
                &self.tags.four(count),
                &value,
            ]
            .concat();
            self.bytes[place..place + 12].copy_from_slice(&written);
        }
    }

    /// A value as its entry has it: the value itself, or where it was put.
    fn value(&mut self, data: &[u8]) -> [u8; 4] {
        let mut value = [0; 4];
        if data.len() <= 4 {
            value[..data.len()].copy_from_slice(data);
            return value;
        }
        self.full |= self.bytes.len() + data.len() > PACKET_BYTES_MAX;
        if self.full {
            return value;
        }
        let at = self.aligned();
        self.bytes.extend_from_slice(data);
        self.tags.four(at)
    }

    /// Values begin at even places.
    fn aligned(&mut self) -> u32 {
        if self.bytes.len() % 2 == 1 {
            self.bytes.push(0);
        }
        self.bytes.len() as u32
    }
}
