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

/// Whether the first scan has all components.
fn scans_all(bytes: &[u8], components: u8) -> bool {
    segments(bytes)
        .find(|segment| segment.marker == SCAN)
        .is_some_and(|scan| scan.rest.get(2) == Some(&components))
}

/// The marker at which the pixels start.
const SCAN: u8 = 0xDA;

struct Segment<'a> {
    marker: u8,
    /// From the segment's length to the end of the file.
    rest: &'a [u8],
}

/// The segments up to the first scan, that one included.
fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut at = 2;
    let mut ended = false;
    std::iter::from_fn(move || {
        while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4)
            && !ended
        {
            // Markers may be padded with 0xFF bytes.
            if marker == 0xFF {
                at += 1;
                continue;
            }
            let rest = &bytes[at + 2..];
            at += 2 + usize::from(u16::from_be_bytes([high, low]));
            ended = marker == SCAN;
            return Some(Segment { marker, rest });
        }
        None
    })
}
