//! Whether an edit left the rest of a picture alone, from the files alone: the input, the result, and the matte that says where
//! the edit is.
//!
//! A result without loss is compared pixel by pixel, at full depth, transparency too. A JPEG of a JPEG is compared by the
//! coefficients of the blocks that the matte does not reach. Both sides are read upright, by the same decoders.

use image::GrayImage;
use serde::Serialize;

use crate::blocks::{Comparison, as_stored, compare};
use crate::decode::{matte_decode, probe};
use crate::error::Error;
use crate::format::Format;
use crate::limits::Limits;
use crate::original::{Depth, Original};
use crate::proof::{Outside, outside};

/// What was found. Sizes are width and height in pixels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether everything outside the matte is the input's own.
    pub kept: bool,
    /// What is not as it should be, each in a sentence. Empty where `kept`.
    pub faults: Vec<String>,
    /// Size of the input, upright.
    pub size: (u32, u32),
    /// Where the edit may be.
    pub matte: Matte,
    /// The blocks of a JPEG of a JPEG that share their tables; none where pixels were compared.
    pub blocks: Option<Blocks>,
    /// The pixels outside the matte; none where blocks were compared, and where a size is wrong.
    pub pixels: Option<Outside>,
}

/// Where the edit may be: where the matte is not 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matte {
    /// Share of the picture's pixels, 0 to 1.
    pub share: f64,
    /// The smallest rectangle that holds them all: left, top, width, height; none where there is no such pixel.
    pub bounds: Option<[u32; 4]>,
}

/// The blocks of 8 x 8 samples of all components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Blocks {
    /// Blocks that the matte reaches.
    pub touched: u64,
    /// Blocks that it does not reach.
    pub untouched: u64,
    /// Untouched blocks of which a coefficient differs.
    pub changed: u64,
}

/// A file that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Unread {
    /// Which: the input is 0, the result 1, the mattes from 2 on.
    pub file: usize,
    /// What is wrong with it.
    pub error: Error,
}

/// Compares `result` with `input` outside the union of `mattes`, of which any color sample but 0 is the edit's.
///
/// # Errors
///
/// For a file that can't be read. What can be read and is not as it should be is in the verdict.
pub fn verify(
    input: &[u8],
    result: &[u8],
    mattes: &[&[u8]],
    limits: &Limits,
) -> Result<Verdict, Unread> {
    let original = |file: usize, bytes| {
        let read = Original::read(bytes, limits);
        read.map(|(original, _)| original)
            .map_err(|error| Unread { file, error })
    };
    let (before, after) = (original(0, input)?, original(1, result)?);
    let mut faults = Vec::new();
    let size = before.size();
    if after.size() != size {
        faults.push(other_size("result", after.size(), size));
    }
    let mut union = GrayImage::new(size.0, size.1);
    for (file, bytes) in (2..).zip(mattes) {
        let unread = |error| Unread { file, error };
        let head = probe(bytes, limits).map_err(unread)?;
        if (head.width, head.height) != size {
            faults.push(other_size("matte", (head.width, head.height), size));
            continue;
        }
        let matte = matte_decode(bytes, size, limits).map_err(unread)?;
        for (value, more) in union.iter_mut().zip(matte.iter()) {
            *value |= more;
        }
    }
    let mut verdict = Verdict {
        kept: false,
        faults,
        size,
        matte: Matte::of(&union),
        blocks: None,
        pixels: None,
    };
    if verdict.faults.is_empty() {
        verdict.check_samples(&before, &after);
        let blocks = match (before.format, after.format) {
            (Format::Jpeg, Format::Jpeg) => blocks(&before, &after, (input, result), &union),
            _ => None,
        };
        match blocks {
            Some(found) => verdict.check_blocks(found),
            None => verdict.check_pixels(&before, &after, &union),
        }
    }
    verdict.kept = verdict.faults.is_empty();
    Ok(verdict)
}

fn other_size(what: &str, found: (u32, u32), size: (u32, u32)) -> String {
    format!(
        "the {what} is {}x{} and the input {}x{}",
        found.0, found.1, size.0, size.1
    )
}

impl Verdict {
    /// Checks that the same samples are the same colors.
    fn check_samples(&mut self, before: &Original, after: &Original) {
        if before.space != after.space {
            self.faults.push(
                "the result has another color profile than the input, so that its samples are other colors".to_owned(),
            );
        }
        if before.depth() != after.depth() {
            let bits = |of: &Original| of.depth().bytes() * 8;
            self.faults.push(format!(
                "the result has {} bits a channel and the input {}",
                bits(after),
                bits(before)
            ));
        }
    }

    fn check_blocks(&mut self, found: Comparison) {
        if found.changed > 0 {
            self.faults.push(format!(
                "{} of {} blocks that the matte does not reach differ",
                found.changed, found.untouched
            ));
        }
        self.blocks = Some(Blocks {
            touched: found.touched,
            untouched: found.untouched,
            changed: found.changed,
        });
    }

    fn check_pixels(&mut self, before: &Original, after: &Original, matte: &GrayImage) {
        let found = outside(before, after, matte);
        if found.changed > 0 {
            let deep = [before, after]
                .iter()
                .any(|it| it.depth() == Depth::Sixteen);
            let why = match (before.format, after.format) {
                (Format::Jpeg, Format::Jpeg) if before.metadata.stored != after.metadata.stored => {
                    "; it is a JPEG that lies another way than the input, so that they share no block"
                }
                (Format::Jpeg, Format::Jpeg) => {
                    "; it is a JPEG that was coded anew, and shares no block with the input"
                }
                (_, Format::Jpeg) => "; it is a JPEG, which keeps no pixel of another kind of file",
                _ => "",
            };
            self.faults.push(format!(
                "{} of {} pixels outside the matte differ, by up to {} of {}{why}",
                found.changed,
                found.pixels,
                found.largest,
                if deep { 65_535 } else { 255 },
            ));
        }
        self.pixels = Some(found);
    }
}

impl Matte {
    fn of(matte: &GrayImage) -> Self {
        let (mut inside, mut left, mut top, mut right, mut bottom) =
            (0u64, u32::MAX, u32::MAX, 0, 0);
        for (x, y, _) in matte
            .enumerate_pixels()
            .filter(|(.., pixel)| pixel.0[0] != 0)
        {
            inside += 1;
            (left, right) = (left.min(x), right.max(x));
            (top, bottom) = (top.min(y), bottom.max(y));
        }
        let all = u64::from(matte.width()) * u64::from(matte.height());
        Self {
            share: inside as f64 / all.max(1) as f64,
            bounds: (inside > 0).then(|| [left, top, right - left + 1, bottom - top + 1]),
        }
    }
}

/// The blocks of two JPEGs that lie the same way and are coded alike.
fn blocks(
    before: &Original,
    after: &Original,
    (input, result): (&[u8], &[u8]),
    matte: &GrayImage,
) -> Option<Comparison> {
    let stored = before.metadata.stored;
    if stored != after.metadata.stored {
        return None;
    }
    compare(
        input,
        result,
        &as_stored(matte.clone().into(), stored).into_luma8(),
    )
}
