//! WebP's chunks.

use super::Packets;
use super::warning::Warning;

/// Reads all chunks but those of pixels.
pub(crate) fn packets(bytes: &[u8]) -> Packets {
    let mut packets = Packets::default();
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((head, after)) = rest.split_at_checked(8) {
        let [kind @ .., a, b, c, d] = head else { break };
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let Some(data) = after.get(..length) else {
            break;
        };
        match kind {
            b"ICCP" => packets.take_icc(|| Ok(data.into())),
            b"EXIF" => packets.take_exif(data),
            b"XMP " => packets.take_xmp(|| Some(data.into())),
            b"ANMF" => packets.warn(Warning::Pictures),
            _ => {}
        }
        rest = after.get(length.next_multiple_of(2)..).unwrap_or_default();
    }
    packets
}
