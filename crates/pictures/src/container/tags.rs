//! Directories of tags, as TIFF files and EXIF blocks have them.

/// Types of values.
pub(crate) const BYTE: u16 = 1;
pub(crate) const SHORT: u16 = 3;
pub(crate) const LONG: u16 = 4;
pub(crate) const RATIONAL: u16 = 5;
/// A LONG that leads to a directory.
pub(crate) const IFD: u16 = 13;

/// A TIFF structure from its byte order mark on. Every look into it is bounded, so damage is found where it is.
#[derive(Clone, Copy)]
pub(crate) struct Tags<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) big: bool,
}

/// An entry of a directory: where it stands, the type of its value, and how many there are.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) at: usize,
    pub(crate) kind: u16,
    pub(crate) count: u32,
}

impl<'a> Tags<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let big = match bytes.get(..4)? {
            b"II*\0" => false,
            b"MM\0*" => true,
            _ => return None,
        };
        Some(Self { bytes, big })
    }

    /// The first directory.
    pub(crate) fn first(&self) -> Option<usize> {
        Some(self.u32(4)? as usize)
    }

    /// Where a directory says where the next one is.
    pub(crate) fn link(&self, directory: usize) -> Option<usize> {
        Some(directory + 2 + self.count(directory)? * 12)
    }

    /// The directory behind this one.
    pub(crate) fn next(&self, directory: usize) -> Option<usize> {
        self.u32(self.link(directory)?)
            .filter(|at| *at != 0)
            .map(|at| at as usize)
    }

    /// Entries of a directory; none where it does not lie whole in the block.
    pub(crate) fn count(&self, directory: usize) -> Option<usize> {
        let count = usize::from(self.u16(directory)?);
        self.bytes
            .get(directory..directory.checked_add(2 + count * 12)?)?;
        Some(count)
    }

    /// All entries of a directory with their tags.
    pub(crate) fn entries(self, directory: usize) -> impl Iterator<Item = (u16, Entry)> {
        let count = self.count(directory).unwrap_or(0);
        (0..count).filter_map(move |index| {
            let at = directory + 2 + index * 12;
            let entry = Entry {
                at,
                kind: self.u16(at + 2)?,
                count: self.u32(at + 4)?,
            };
            Some((self.u16(at)?, entry))
        })
    }

    pub(crate) fn entry(&self, directory: usize, tag: u16) -> Option<Entry> {
        self.entries(directory)
            .find(|(other, _)| *other == tag)
            .map(|(_, entry)| entry)
    }

    /// The directory that an entry leads to.
    pub(crate) fn child(&self, directory: usize, tag: u16) -> Option<usize> {
        Some(self.number(self.entry(directory, tag)?)? as usize)
    }

    /// The value of an entry that holds one number.
    pub(crate) fn number(&self, entry: Entry) -> Option<u32> {
        match (entry.kind, entry.count) {
            (BYTE, 1) => self.bytes.get(entry.at + 8).map(|value| u32::from(*value)),
            (SHORT, 1) => self.u16(entry.at + 8).map(u32::from),
            (LONG | IFD, 1) => self.u32(entry.at + 8),
            _ => None,
        }
    }

    /// The one number of a tag.
    pub(crate) fn value(&self, directory: usize, tag: u16) -> Option<u32> {
        self.number(self.entry(directory, tag)?)
    }

    /// The bytes of an entry's value, wherever they are.
    pub(crate) fn data(&self, entry: Entry) -> Option<&'a [u8]> {
        let size = match entry.kind {
            SHORT | 8 => 2,
            LONG | 9 | 11 | IFD => 4,
            RATIONAL | 10 | 12 => 8,
            _ => 1,
        };
        let length = usize::try_from(entry.count).ok()?.checked_mul(size)?;
        let at = match length {
            0..=4 => entry.at + 8,
            _ => self.u32(entry.at + 8)? as usize,
        };
        self.bytes.get(at..at.checked_add(length)?)
    }

    /// The one positive rational number of a tag.
    pub(crate) fn rational(&self, directory: usize, tag: u16) -> Option<f64> {
        let entry = self
            .entry(directory, tag)
            .filter(|entry| entry.kind == RATIONAL)?;
        let at = self.u32(entry.at + 8)? as usize;
        let (over, under) = (self.u32(at)?, self.u32(at.checked_add(4)?)?);
        (over > 0 && under > 0).then(|| f64::from(over) / f64::from(under))
    }

    pub(crate) fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(match self.big {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        })
    }

    pub(crate) fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self.big {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        })
    }

    /// A number of two bytes as the block stores it.
    pub(crate) fn two(&self, value: u16) -> [u8; 2] {
        match self.big {
            true => value.to_be_bytes(),
            false => value.to_le_bytes(),
        }
    }

    /// A number of four bytes as the block stores it.
    pub(crate) fn four(&self, value: u32) -> [u8; 4] {
        match self.big {
            true => value.to_be_bytes(),
            false => value.to_le_bytes(),
        }
    }
}
