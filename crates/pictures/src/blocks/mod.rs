//! A JPEG's blocks: kept to the bit where an edit did not reach, replaced where it did.
//!
//! A JPEG that is decoded and coded again moves half of its pixels, whatever its quality. Here the file is read as coefficients,
//! the blocks that a matte reaches get the edit's pixels, and all of them are coded again, by other Huffman codes: the tables
//! that coefficients are multiplied with, the sampling, and whether it is progressive stay the input's.
//!
//! A block that the matte does not reach (`cover`) keeps all coefficients. Its pixels may move still where a decoder smooths color over
//! the border to a block that was replaced; that is the decoder's doing, and the same of any two files that share the block.
//!
//! # Layout
//!
//! - `coded`: the coefficients of a file, read and written by libjpeg-turbo
//! - `cover`: which samples and blocks a matte reaches
//! - `dct`: samples to coefficients and back
//! - `replace`: an edit's pixels in the blocks
//! - `header`: what goes before the tables: the input's own segments
//! - `compare`: two files, block by block

mod coded;
mod compare;
mod cover;
mod dct;
mod header;
mod replace;
#[cfg(test)]
mod tests;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};

use crate::jpeg::all_coefficient_bytes;
pub(crate) use coded::Unusable;
use coded::{Coded, Colors};
pub(crate) use compare::{Comparison, compare};
pub use replace::Count;

/// What of the input's header goes through, beside what its pixels need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The color profile.
    pub(crate) profile: bool,
    /// EXIF, XMP, comments and whatever else there is.
    pub(crate) metadata: bool,
    /// What Adobe's segment says of the components, where these are the input's.
    pub(crate) adobe: bool,
}

/// The JPEG `input` with the pixels of `edited` where `matte` is not 0; both are upright. A gray one gets components of color
/// where the edit has any.
///
/// # Errors
///
/// Where its blocks can't be kept: it is CMYK, arithmetically coded, of 12 bits, damaged, or has another size.
pub(crate) fn edit(
    input: &[u8],
    stored: Orientation,
    edited: &RgbImage,
    matte: &GrayImage,
    kept: Kept,
) -> Result<(Vec<u8>, Count), Unusable> {
    let (turned_edited, turned_matte);
    let (mut edited, mut matte) = (edited, matte);
    if stored != Orientation::NoTransforms {
        turned_edited = as_stored(edited.clone().into(), stored).into_rgb8();
        turned_matte = as_stored(matte.clone().into(), stored).into_luma8();
        (edited, matte) = (&turned_edited, &turned_matte);
    }
    if edited.dimensions() != matte.dimensions() {
        return Err(Unusable("the matte has another size".to_owned()));
    }
    let mut coded = Coded::read(input, edited.dimensions())?;
    let gray = coded.colors == Colors::Gray;
    if gray {
        coded.add_color()?;
    }
    let mut counts = replace::replace(&mut coded, edited, matte)?;
    let mut kept = kept;
    if gray && !coded.has_color()? {
        coded.drop_color();
        counts.truncate(1);
    } else if gray {
        kept.adobe = false;
    }
    let file = coded.write()?;
    let count = counts.into_iter().fold(Count::default(), |sum, one| Count {
        touched: sum.touched + one.touched,
        kept: sum.kept + one.kept,
    });
    Ok((header::with(&file, input, stored, kept), count))
}

/// Most bytes that [`edit`] holds beside what it is given, of an input of so many pixels.
pub(crate) fn edit_bytes(input: &[u8], pixels: u64, stored: Orientation) -> u64 {
    // Both pictures turned, of which the larger is copied for that.
    let (turning, turned) = match stored {
        Orientation::NoTransforms => (0, 0),
        _ => (6 * pixels, 4 * pixels),
    };
    let coefficients = all_coefficient_bytes(input);
    // The file in a buffer that grew by doubling, and once more with its header.
    turning.max(turned + coefficients) + (4 << 20) + 4 * input.len() as u64
}

/// An upright picture as a file of this orientation stores it.
pub(crate) fn as_stored(mut picture: DynamicImage, orientation: Orientation) -> DynamicImage {
    picture.apply_orientation(match orientation {
        Orientation::Rotate90 => Orientation::Rotate270,
        Orientation::Rotate270 => Orientation::Rotate90,
        // Done twice, each of the others does nothing.
        other => other,
    });
    picture
}
