//! The file that a client gets: what is stored is without loss, and its container is chosen when it leaves.
//!
//! Where the input is a JPEG and the edit was laid over it, the file is that JPEG with the blocks replaced that the edit's matte
//! reaches. Everything else is coded from the stored result.

use image::GrayImage;

use crate::blocks;
use crate::decode::{Probe, probe};
use crate::error::Result;
use crate::format::Format;
use crate::head::Head;
use crate::limits::Limits;
use crate::original::{Colors, Depth, JPEG_QUALITY, Kind, Original, Told};
use crate::patch::Layers;
use crate::proof::outside;

pub use crate::blocks::Count;

/// The best quality. A WebP of it has no loss.
const QUALITY_MAX: u8 = 100;

/// What a client wishes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Its format. Without one it is the input's where that is a JPEG whose result was laid over it, else PNG.
    pub format: Option<Format>,
    /// Quality of a JPEG or WebP, 1 to 100. With one, a JPEG is coded anew; a WebP has loss below 100.
    pub quality: Option<u8>,
    /// Most pixels of its longer side.
    pub max_side: Option<u32>,
    /// Whether to leave out EXIF, XMP, comments and resolution; the color profile stays.
    pub strip_metadata: bool,
}

/// What a result was laid over.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The input's file.
    pub input: &'a [u8],
    /// Which pixels of the result are the input's own: those that are 0. Of the result's size.
    pub matte: &'a GrayImage,
}

/// A file for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its format.
    pub format: Format,
    /// The blocks of the input that it keeps; none where it was coded from the result's pixels.
    pub blocks: Option<Count>,
    /// Why there are no blocks to keep of an input that is a JPEG.
    pub anew: Option<String>,
    /// Pixels outside the matte that are not the result's, since the file is a JPEG that was coded anew. None for other formats,
    /// where blocks were kept, where the file's picture is smaller, and where nothing was laid over.
    pub moved: Option<u64>,
}

/// What is known of a result and a wish before a pixel is read.
struct Plan {
    format: Format,
    size: (u32, u32),
    /// Whether the file's picture has the result's size.
    whole: bool,
}

impl Wish {
    /// Width and height of the file's picture, of a result of this size.
    pub fn size_of(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let longer = width.max(height);
        let Some(most) = self.max_side.filter(|most| *most < longer) else {
            return (width, height);
        };
        let side = |side: u32| {
            let (side, most, longer) = (u64::from(side), u64::from(most), u64::from(longer));
            ((side * most * 2 + longer) / (2 * longer)).max(1) as u32
        };
        (side(width), side(height))
    }

    /// The quality of a WebP that has loss.
    fn webp_quality(&self) -> Option<u8> {
        self.quality.filter(|quality| *quality < QUALITY_MAX)
    }

    fn plan(&self, result: (u32, u32), input: Option<Format>) -> Plan {
        let default = match input {
            Some(Format::Jpeg) => Format::Jpeg,
            _ => Format::Png,
        };
        let size = self.size_of(result);
        Plan {
            format: self.format.unwrap_or(default),
            size,
            whole: size == result,
        }
    }

    /// Whether a stored result is the file that is wished.
    fn is_met(&self, stored: &Probe, plan: &Plan) -> bool {
        plan.format == stored.format && plan.whole && self.quality.is_none() && !self.strip_metadata
    }
}

/// Most bytes that [`leave`] holds at once beside what it is given, its result included. Of a source it looks at the file alone.
///
/// # Errors
///
/// As [`probe`], and when the picture is too large for its format.
pub fn leave_bytes(
    result: &[u8],
    source: Option<Source<'_>>,
    wish: &Wish,
    limits: &Limits,
) -> Result<u64> {
    let stored = probe(result, limits)?;
    let plan = wish.plan((stored.width, stored.height), input_format(source, limits)?);
    if wish.is_met(&stored, &plan) {
        return Ok(result.len() as u64);
    }
    making_bytes(&stored, &plan, source, wish, limits)
}

/// The same of [`leave_layers`]: the picture, where it was changed, and one rectangle at a time beside it.
///
/// # Errors
///
/// As [`leave_bytes`].
pub fn leave_layers_bytes(base: &[u8], wish: &Wish, limits: &Limits) -> Result<u64> {
    let stored = probe(base, limits)?;
    let unread = GrayImage::default();
    let source = Source {
        input: base,
        matte: &unread,
    };
    let plan = wish.plan((stored.width, stored.height), Some(stored.format));
    let pixels = u64::from(stored.width) * u64::from(stored.height);
    let made = making_bytes(&stored, &plan, Some(source), wish, limits)?;
    Ok(made.max(stored.picture_bytes + pixels * stored.depth.bytes() * 10) + pixels)
}

/// Makes a client's file of a picture in layers.
///
/// # Errors
///
/// As [`leave`], and for a patch of another picture.
pub fn leave_layers<T: AsRef<[u8]>>(
    layers: &Layers<'_, T>,
    wish: &Wish,
    limits: &Limits,
) -> Result<Left> {
    let (picture, matte) = layers.picture(limits)?;
    let source = Source {
        input: layers.base,
        matte: &matte,
    };
    leave_original(picture, Some(source), wish, limits)
}

fn making_bytes(
    stored: &Probe,
    plan: &Plan,
    source: Option<Source<'_>>,
    wish: &Wish,
    limits: &Limits,
) -> Result<u64> {
    plan.format.holds(plan.size)?;
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let (pixels, left) = (area((stored.width, stored.height)), area(plan.size));
    // The picture, and it resized or on white: of 16 bits and transparent, where it may be that.
    let changed = !plan.whole || (stored.picture_bytes > 3 * pixels && !plan.format.has_alpha());
    let copy = if changed {
        left * stored.depth.bytes() * 4
    } else {
        0
    };
    let alpha = stored.picture_bytes >= 4 * pixels * stored.depth.bytes();
    let coding = match plan.format {
        Format::WebP => left * webp_pixel_bytes(alpha, stored.depth, wish),
        // What an encoder makes of the pixels first, the file, and the file read again.
        _ => left * CODING_PIXEL_BYTES * stored.depth.bytes(),
    };
    let coded = copy + coding;
    let blocks = match source.filter(|_| plan.format == Format::Jpeg && plan.whole) {
        Some(source) => {
            let head = Head::read(source.input, limits)?;
            match head.format {
                Format::Jpeg => blocks::edit_bytes(source.input, pixels, head.orientation),
                // It has no blocks, and whatever in it looks like a JPEG's is none.
                _ => 0,
            }
        }
        None => 0,
    };
    let making = stored.picture_bytes + coded.max(blocks);
    Ok(stored.decode_bytes.max(making))
}

/// Most bytes for each pixel that an encoder and its file take, for each byte of a sample.
const CODING_PIXEL_BYTES: u64 = 12;

/// The same of WebP with loss: four channels, planes, and the file, which grows by doubling, twice.
const WEBP_LOSSY_PIXEL_BYTES: u64 = 12;

/// The same of WebP, all in all.
fn webp_pixel_bytes(alpha: bool, depth: Depth, wish: &Wish) -> u64 {
    // Samples of 8 bits, and colors beside transparency, are copies.
    let shallow = if depth == Depth::Eight { 0 } else { 3 };
    let beside = if alpha { 4 + shallow / 3 } else { 0 };
    shallow
        + beside
        + match wish.webp_quality() {
            Some(_) => WEBP_LOSSY_PIXEL_BYTES,
            // Four channels; then noise, which can't be pressed: a byte a channel and a little, in two buffers.
            None if alpha => 4 + 9,
            None => 4 + 7,
        }
}

/// Makes a client's file of a stored result. `source` is what it was laid over, if it was.
///
/// # Errors
///
/// For a result or an input that can't be read, and when an encoder refuses.
pub fn leave(
    result: &[u8],
    source: Option<Source<'_>>,
    wish: &Wish,
    limits: &Limits,
) -> Result<Left> {
    let stored = probe(result, limits)?;
    let plan = wish.plan((stored.width, stored.height), input_format(source, limits)?);
    if wish.is_met(&stored, &plan) {
        return Ok(Left {
            bytes: result.to_vec(),
            format: plan.format,
            blocks: None,
            anew: None,
            moved: None,
        });
    }
    plan.format.holds(plan.size)?;
    let (result, _) = Original::read(result, limits)?;
    leave_original(result, source, wish, limits)
}

/// The same of a result in memory.
///
/// # Errors
///
/// As [`leave`].
pub fn leave_original(
    result: Original,
    source: Option<Source<'_>>,
    wish: &Wish,
    limits: &Limits,
) -> Result<Left> {
    let plan = wish.plan(result.size(), input_format(source, limits)?);
    let mut anew = None;
    let keeps = plan.format == Format::Jpeg && plan.whole && wish.quality.is_none();
    if let Some(source) = source.filter(|_| keeps) {
        match with_blocks(&result, source, wish, limits)? {
            Ok(left) => return Ok(left),
            Err(reason) => anew = reason,
        }
    }
    let left = coded(result, source, &plan, wish, limits)?;
    Ok(Left { anew, ..left })
}

fn input_format(source: Option<Source<'_>>, limits: &Limits) -> Result<Option<Format>> {
    source
        .map(|source| Ok(Head::read(source.input, limits)?.format))
        .transpose()
}

/// The input's JPEG with the blocks replaced that the matte reaches; or why it has no blocks to keep, if it is a JPEG.
fn with_blocks(
    result: &Original,
    source: Source<'_>,
    wish: &Wish,
    limits: &Limits,
) -> Result<std::result::Result<Left, Option<String>>> {
    let head = Head::read(source.input, limits)?;
    let (Format::Jpeg, Colors::Eight(edited)) = (head.format, &result.colors) else {
        return Ok(Err(None));
    };
    let orientation = head.orientation;
    let keep = blocks::Kept {
        // The result has none where the input's can't be used.
        profile: result.space.icc().is_some(),
        metadata: !wish.strip_metadata,
        adobe: true,
    };
    if head.kind == Kind::Gray && Told::new(head.packets, head.kind).to_srgb.is_some() {
        return Ok(Err(Some("its gray is not that of sRGB".to_owned())));
    }
    let made = blocks::edit(source.input, orientation, edited, source.matte, keep);
    Ok(made
        .map(|(bytes, count)| Left {
            bytes,
            format: Format::Jpeg,
            blocks: Some(count),
            anew: None,
            moved: None,
        })
        .map_err(|unusable| Some(unusable.to_string())))
}

/// Codes a result's pixels.
fn coded(
    mut result: Original,
    source: Option<Source<'_>>,
    plan: &Plan,
    wish: &Wish,
    limits: &Limits,
) -> Result<Left> {
    if !plan.whole {
        result = result.resized(plan.size);
    }
    if !plan.format.has_alpha() {
        // What is transparent hides colors of the input, where the result was laid over it; the model's own picture was made on
        // white.
        if source.is_some() {
            result = result.flat();
        }
        result.alpha = None;
    }
    if wish.strip_metadata {
        result = result.without_metadata();
    }
    let bytes = match plan.format {
        Format::Jpeg => result.jpeg(wish.quality.unwrap_or(JPEG_QUALITY))?,
        Format::WebP => match wish.webp_quality() {
            Some(quality) => result.webp_lossy(quality)?,
            None => result.encode(Format::WebP)?,
        },
        other => result.encode(other)?,
    };
    let moves = plan.whole && !plan.format.is_lossless();
    let moved = match source.filter(|_| moves) {
        Some(source) => {
            let (read, _) = Original::read(&bytes, limits)?;
            Some(outside(&result, &read, source.matte).changed)
        }
        None => None,
    };
    Ok(Left {
        bytes,
        format: plan.format,
        blocks: None,
        anew: None,
        moved,
    })
}
