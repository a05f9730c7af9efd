//! The proof that an edit left the rest of a picture alone: counted and hashed pixels outside its matte.

use image::GrayImage;
use serde::Serialize;

use crate::original::{Depth, Original, deep, shallow};

/// The pixels of two pictures of one size where a matte is 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outside {
    /// How many there are.
    pub pixels: u64,
    /// How many of them differ in any channel.
    pub changed: u64,
    /// The largest difference of a channel, of 65535 where one of the pictures has 16 bits, else of 255.
    pub largest: u16,
    /// BLAKE3 of the pixels in the first picture, in hexadecimal digits. Hashed are, of rows from top to bottom, the pixels from left
    /// to right whose matte is 0: red, green, blue, and opacity where the picture has any. A sample of 8 bits is one
    /// byte, of 16 bits two, the higher first.
    pub before: String,
    /// The same of the second picture.
    pub after: String,
}

/// Compares two pictures of the matte's size where the matte is 0.
pub fn outside(before: &Original, after: &Original, matte: &GrayImage) -> Outside {
    let (mut one, mut other) = (Reader::new(before), Reader::new(after));
    let any_deep = [before, after]
        .iter()
        .any(|it| it.depth() == Depth::Sixteen);
    let (mut pixels, mut changed, mut largest) = (0, 0, 0);
    let width = matte.width().max(1) as usize;
    for (y, row) in (0..).zip(matte.as_raw().chunks_exact(width)) {
        if row.iter().all(|&value| value != 0) {
            continue;
        }
        one.turn_to(y);
        other.turn_to(y);
        for (x, _) in row.iter().enumerate().filter(|(_, value)| **value == 0) {
            let (ours, theirs) = (one.take(x), other.take(x));
            let differences = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(b));
            let difference = differences.max().unwrap_or(0);
            pixels += 1;
            changed += u64::from(difference != 0);
            largest = largest.max(difference);
        }
    }
    Outside {
        pixels,
        changed,
        largest: if any_deep { largest } else { largest / deep(1) },
        before: one.digest(),
        after: other.digest(),
    }
}

/// Takes pixels from a picture, row after row, and hashes them.
struct Reader<'a> {
    picture: &'a Original,
    colors: Vec<u16>,
    alpha: Option<Vec<u16>>,
    hasher: blake3::Hasher,
    /// Of the row, not hashed yet.
    bytes: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(picture: &'a Original) -> Self {
        Self {
            picture,
            colors: Vec::new(),
            alpha: None,
            hasher: blake3::Hasher::new(),
            bytes: Vec::new(),
        }
    }

    fn turn_to(&mut self, y: u32) {
        self.hasher.update(&self.bytes);
        self.bytes.clear();
        self.colors = self.picture.colors.row(y);
        self.alpha = self.picture.alpha.as_ref().map(|alpha| alpha.row(y));
    }

    /// A pixel of the row, stretched to 16 bits; opaque where the picture has no transparency.
    fn take(&mut self, x: usize) -> [u16; 4] {
        let (r, g, b) = (
            self.colors[3 * x],
            self.colors[3 * x + 1],
            self.colors[3 * x + 2],
        );
        let alpha = self.alpha.as_ref().map(|alpha| alpha[x]);
        for sample in [r, g, b].into_iter().chain(alpha) {
            match self.picture.depth() {
                Depth::Eight => self.bytes.push(shallow(sample)),
                Depth::Sixteen => self.bytes.extend(sample.to_be_bytes()),
            }
        }
        [r, g, b, alpha.unwrap_or(u16::MAX)]
    }

    fn digest(mut self) -> String {
        self.hasher.update(&self.bytes);
        self.hasher.finalize().to_hex().to_string()
    }
}
