//! What a JPEG's markers say that its decoder does not.

/// Whether an end-of-image marker follows the start of the pixels. One before it would end an embedded thumbnail. The decoder
/// fills what a cut file lacks with gray and reports success.
pub(crate) fn ends(bytes: &[u8]) -> bool {
    segments(bytes)
        .find(|segment| segment.marker == SCAN)
        .is_some_and(|scan| scan.rest.windows(2).any(|pair| pair == [0xFF, 0xD9]))
}

/// Bytes of the coefficients that a decoder keeps where the pixels come in several scans: two for each of a component's
/// values, in whole blocks. None of a baseline picture with one scan, which is decoded as it is read.
pub(crate) fn coefficient_bytes(bytes: &[u8]) -> u64 {
    let mut kept = 0;
    for segment in segments(bytes) {
        match segment.marker {
            // Frames: all SOFn but DHT, JPG and DAC, which lie between them.
            0xC0..=0xCF if !matches!(segment.marker, 0xC4 | 0xC8 | 0xCC) => {
                let &[_, _, _, high, low, wide_high, wide_low, components, ..] = segment.rest
                else {
                    return kept;
                };
                let side = |high, low| u64::from(u16::from_be_bytes([high, low]));
                // Blocks of up to 32 pixels a side.
                let (height, width) = (side(high, low), side(wide_high, wide_low));
                kept = 2
                    * height.next_multiple_of(32)
                    * width.next_multiple_of(32)
                    * u64::from(components);
                if matches!(segment.marker, 0xC0 | 0xC1) && scans_all(bytes, components) {
                    kept = 0;
                }
            }
            SCAN => return kept,
            _ => {}
        }
    }
    kept
}

/// The kind of JPEG that this is, where no decoder reads it here, and how to convert it.
pub(crate) fn unread(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const ANY: &str = "open it in a program that reads it, and save a PNG";
    let frame = segments(bytes).find(|segment| {
        // Frames: all SOFn but DHT, JPG and DAC, which lie between them.
        matches!(segment.marker, 0xC0..=0xCF) && !matches!(segment.marker, 0xC4 | 0xC8 | 0xCC)
    })?;
    let [bits, high, low, _, _, _, ref rest @ ..] = *frame.data()? else {
        return None;
    };
    let (components, _) = rest.as_chunks::<3>();
    let mut across = components.iter().map(|[_, sampling, _]| sampling >> 4);
    // The decoder refuses the ones, and makes noise of the others without a word.
    let uncommon = across.clone().any(|it| !it.is_power_of_two())
        || across
            .next()
            .is_some_and(|first| across.any(|other| other > first));
    match frame.marker {
        0xC3 | 0xC7 | 0xCB | 0xCF => Some(("lossless JPEG", ANY)),
        0xC5 | 0xC6 | 0xCD | 0xCE => Some(("hierarchical JPEG", ANY)),
        _ if bits != 8 => Some((
            "12-bit JPEG",
            "open it in a program that reads it, and save a PNG or TIFF of 16 bits",
        )),
        0xC9 | 0xCA => Some((
            "arithmetic-coded JPEG",
            "convert it without loss, such as by `jpegtran -optimize -copy all photo.jpg > new.jpg`",
        )),
        _ if uncommon => Some((
            "JPEG of an uncommon sampling",
            "open it in a program that reads it, and save it as a JPEG or PNG",
        )),
        _ if (high, low) == (0, 0) => {
            Some(("JPEG of a height that stands behind its pixels (DNL)", ANY))
        }
        _ => None,
    }
}

/// Bytes of all coefficients of a picture, two each, in whole units of blocks; a gray picture's as if it had colors.
pub(crate) fn all_coefficient_bytes(bytes: &[u8]) -> u64 {
    let frame = segments(bytes).find(|segment| {
        // Frames: all SOFn but DHT, JPG and DAC, which lie between them.
        matches!(segment.marker, 0xC0..=0xCF) && !matches!(segment.marker, 0xC4 | 0xC8 | 0xCC)
    });
    let Some(&[_, a, b, c, d, _, ref rest @ ..]) = frame.and_then(|frame| frame.data()) else {
        return 0;
    };
    let (height, width) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let (components, _) = rest.as_chunks::<3>();
    let sampling = components
        .iter()
        .map(|[_, sampling, _]| (sampling >> 4, sampling & 15));
    let most = |side: fn((u8, u8)) -> u8| sampling.clone().map(side).max().unwrap_or(1).max(1);
    let (across, down) = (most(|(across, _)| across), most(|(_, down)| down));
    let units = u64::from(width).div_ceil(8 * u64::from(across))
        * u64::from(height).div_ceil(8 * u64::from(down));
    let blocks: u64 = match components {
        [_] => 3 * u64::from(across) * u64::from(down),
        _ => sampling
            .map(|(across, down)| u64::from(across) * u64::from(down))
            .sum(),
    };
    units * blocks * 128
}

/// Whether the first scan has all components.
fn scans_all(bytes: &[u8], components: u8) -> bool {
    segments(bytes)
        .find(|segment| segment.marker == SCAN)
        .is_some_and(|scan| scan.rest.get(2) == Some(&components))
}

/// The marker at which the pixels start.
const SCAN: u8 = 0xDA;
/// What the data of segments begins with: EXIF and XMP in APP1, a piece of a profile in APP2.
pub(crate) const EXIF: &[u8] = b"Exif\0\0";
pub(crate) const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
pub(crate) const ICC: &[u8] = b"ICC_PROFILE\0";

/// Most bytes of a segment's data.
const DATA_MAX: usize = 65_533;

pub(crate) struct Segment<'a> {
    pub(crate) marker: u8,
    /// Where its marker is in the file.
    start: usize,
    /// From the segment's length to the end of the file.
    rest: &'a [u8],
}

impl<'a> Segment<'a> {
    /// What the segment holds.
    pub(crate) fn data(&self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_be_bytes([
            *self.rest.first()?,
            *self.rest.get(1)?,
        ]));
        self.rest.get(2..length)
    }

    /// Where what follows it is in the file.
    pub(crate) fn end(&self) -> Option<usize> {
        Some(self.start + 4 + self.data()?.len())
    }
}

/// The segments up to the first scan, that one included. Stray bytes between them are passed over.
pub(crate) fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    segments_from(bytes, 2)
}

/// The same from a byte on.
pub(crate) fn segments_from(bytes: &[u8], mut at: usize) -> impl Iterator<Item = Segment<'_>> {
    let mut ended = false;
    std::iter::from_fn(move || {
        while !ended && let Some(&[mark, marker, high, low]) = bytes.get(at..at + 4) {
            // Markers may be padded with 0xFF bytes.
            if mark != 0xFF || matches!(marker, 0 | 0xFF) {
                at += 1;
                continue;
            }
            let start = at;
            let rest = &bytes[at + 2..];
            // Some markers have no data: the start, restarts, and a reserved one.
            if matches!(marker, 0x01 | 0xD0..=0xD8) {
                at += 2;
                continue;
            }
            at += 2 + usize::from(u16::from_be_bytes([high, low]));
            ended = matches!(marker, SCAN | 0xD9);
            return Some(Segment {
                marker,
                start,
                rest,
            });
        }
        None
    })
}

/// Segments that hold EXIF, XMP and a profile. EXIF and XMP that are too large for one are left out.
pub(crate) fn segments_of(exif: Option<&[u8]>, xmp: Option<&[u8]>, icc: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut add = |marker: u8, parts: &[&[u8]]| {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length <= DATA_MAX {
            out.extend([0xFF, marker]);
            out.extend((length as u16 + 2).to_be_bytes());
            parts.iter().for_each(|part| out.extend_from_slice(part));
        }
    };
    if let Some(exif) = exif {
        add(0xE1, &[EXIF, exif]);
    }
    if let Some(xmp) = xmp {
        add(0xE1, &[XMP, xmp]);
    }
    let pieces: Vec<&[u8]> = icc
        .unwrap_or_default()
        .chunks(DATA_MAX - ICC.len() - 2)
        .collect();
    if let Ok(count) = u8::try_from(pieces.len()) {
        for (number, piece) in (1..=count).zip(&pieces) {
            add(0xE2, &[ICC, &[number, count], piece]);
        }
    }
    out
}

/// A JPEG with more segments, behind its JFIF header.
pub(crate) fn with_segments(jpeg: &[u8], more: &[u8]) -> Vec<u8> {
    let at = match segments(jpeg).next() {
        Some(first) if first.marker == 0xE0 => 4 + first.data().map_or(0, <[u8]>::len) + 2,
        _ => 2,
    };
    let (before, after) = jpeg.split_at(at.min(jpeg.len()));
    [before, more, after].concat()
}
