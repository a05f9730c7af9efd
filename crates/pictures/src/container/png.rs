//! PNG's chunks.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::resolution::{Length, Resolution};
use super::warning::Warning;
use super::{ICC_BYTES_MAX, PACKET_BYTES_MAX, Packets};

const XMP: &[u8] = b"XML:com.adobe.xmp\0";

/// Reads all chunks but those of pixels. EXIF may stand behind these.
pub(crate) fn packets(bytes: &[u8]) -> Packets {
    let mut packets = Packets::default();
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((head, after)) = rest.split_at_checked(8) {
        let [a, b, c, d, kind @ ..] = head else { break };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(data) = after.get(..length) else {
            break;
        };
        packets.chunk(kind, data);
        rest = after.get(length + 4..).unwrap_or_default();
    }
    packets
}

impl Packets {
    fn chunk(&mut self, kind: &[u8], data: &[u8]) {
        match kind {
            b"iCCP" => self.take_icc(|| {
                let icc = profile(data).ok_or("it can't be unpacked")?;
                Ok(icc.into())
            }),
            b"cICP" => self.cicp = data.try_into().ok(),
            b"sRGB" => self.srgb = true,
            b"gAMA" => self.gamma = data.try_into().ok().map(u32::from_be_bytes),
            b"cHRM" => {
                let (numbers, _) = data.as_chunks::<4>();
                let numbers: Vec<u32> = numbers
                    .iter()
                    .map(|bytes| u32::from_be_bytes(*bytes))
                    .collect();
                self.chromaticities = numbers.try_into().ok();
            }
            b"eXIf" => self.take_exif(data),
            b"pHYs" => self.resolution = resolution(data),
            b"iTXt" => {
                if let Some(data) = data.strip_prefix(XMP) {
                    self.take_xmp(|| itxt(data).map(Into::into));
                }
            }
            b"acTL" => self.warn(Warning::Pictures),
            b"caBX" => self.warn(Warning::Credentials),
            _ => {}
        }
    }
}

/// A profile's bytes, of which no more than one too many are unpacked.
fn profile(data: &[u8]) -> Option<Vec<u8>> {
    let name = data.iter().position(|byte| *byte == 0)?;
    let [0, packed @ ..] = data.get(name + 1..)? else {
        return None;
    };
    unpacked(packed, ICC_BYTES_MAX)
}

fn unpacked(packed: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    ZlibDecoder::new(packed)
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut out)
        .ok()?;
    Some(out)
}

/// The text of an iTXt chunk behind its keyword.
fn itxt(data: &[u8]) -> Option<Vec<u8>> {
    let [packed, _, rest @ ..] = data else {
        return None;
    };
    let mut parts = rest.splitn(3, |byte| *byte == 0);
    let text = parts.nth(2)?;
    match packed {
        0 => Some(text.to_vec()),
        _ => unpacked(text, PACKET_BYTES_MAX),
    }
}

fn resolution(data: &[u8]) -> Option<Resolution> {
    let [a, b, c, d, e, f, g, h, unit] = *data else {
        return None;
    };
    let (x, y) = (
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    );
    (x > 0 && y > 0).then(|| Resolution {
        x: f64::from(x),
        y: f64::from(y),
        per: if unit == 1 {
            Length::Metre
        } else {
            Length::Unknown
        },
    })
}
