//! The segments of a picture by number, on a grid that is stretched over it.

use image::{GrayImage, ImageBuffer, Luma};

use crate::encode;
use crate::error::{Error, Result};

/// Number of each cell, from 1; 0 is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    side: u32,
    numbers: Vec<u16>,
}

impl Labels {
    /// `side * side` numbers, row by row; of another count none.
    pub fn new(side: u32, numbers: Vec<u16>) -> Option<Self> {
        (side > 0 && numbers.len() == side as usize * side as usize)
            .then_some(Self { side, numbers })
    }

    /// Cells on a side.
    pub fn side(&self) -> u32 {
        self.side
    }

    /// The largest number.
    pub fn count(&self) -> u32 {
        self.numbers.iter().copied().max().unwrap_or(0).into()
    }

    /// The number at a pixel of a picture of this size, as [`crate::Mask::resized`] stretches a grid.
    pub fn at(&self, (x, y): (u32, u32), (width, height): (u32, u32)) -> u16 {
        let cell = |at: u32, of: u32| {
            let cell = u64::from(at) * u64::from(self.side) / u64::from(of.max(1));
            cell.min(u64::from(self.side) - 1) as usize
        };
        self.numbers[cell(y, height) * self.side as usize + cell(x, width)]
    }

    /// Sets the pixels of `mask` that have a number for which `holds` to this value.
    pub fn lay(&self, mask: &mut GrayImage, value: u8, holds: impl Fn(u16) -> bool) {
        let size = mask.dimensions();
        let chosen: Vec<bool> = self.numbers.iter().map(|number| holds(*number)).collect();
        let side = self.side as usize;
        let columns: Vec<usize> = (0..size.0)
            .map(|x| (u64::from(x) * side as u64 / u64::from(size.0)) as usize)
            .collect();
        for (y, row) in (0u64..).zip(mask.chunks_exact_mut(size.0.max(1) as usize)) {
            let cells = (y * side as u64 / u64::from(size.1)) as usize * side;
            for (pixel, column) in row.iter_mut().zip(&columns) {
                if chosen[cells + column] {
                    *pixel = value;
                }
            }
        }
    }

    /// As PNG of 16 bits, a pixel a cell.
    ///
    /// # Errors
    ///
    /// When the encoder refuses.
    pub fn png(&self) -> Result<Vec<u8>> {
        let pixels =
            ImageBuffer::<Luma<u16>, _>::from_raw(self.side, self.side, self.numbers.clone());
        encode::png(&pixels.unwrap_or_default().into())
    }

    /// The reverse of [`Labels::png`].
    ///
    /// # Errors
    ///
    /// For what is none.
    pub fn read(png: &[u8]) -> Result<Self> {
        let read = image::load_from_memory_with_format(png, image::ImageFormat::Png);
        let pixels = read.ok().map(image::DynamicImage::into_luma16);
        let labels = pixels.and_then(|pixels| Self::new(pixels.width(), pixels.into_raw()));
        labels.ok_or_else(|| Error::Damaged {
            format: "PNG",
            reason: "it has no square of labels".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_stretched_and_comes_back() {
        let labels = Labels::new(2, vec![1, 2, 3, 300]).unwrap();
        assert_eq!(Labels::read(&labels.png().unwrap()).unwrap(), labels);
        let size = (5, 3);
        let mut mask = GrayImage::new(size.0, size.1);
        labels.lay(&mut mask, 255, |number| number == 2 || number == 300);
        for (x, y, pixel) in mask.enumerate_pixels() {
            assert_eq!(
                labels.at((x, y), size).is_multiple_of(2),
                pixel.0[0] == 255,
                "{x} {y}"
            );
        }
        assert_eq!((labels.count(), labels.at((4, 2), size)), (300, 300));
        assert!(Labels::read(b"none").is_err());
        assert_eq!(Labels::new(2, vec![1]), None);
    }
}
