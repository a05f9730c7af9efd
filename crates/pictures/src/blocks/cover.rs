//! Which samples and blocks of a component a matte reaches.
//!
//! A sample stands for the pixels that it is the mean of: one, or a rectangle of them where the component is coded at less than
//! the picture's resolution. A block is touched when one of its samples stands for a pixel whose matte is not 0. What a decoder
//! that smooths color between samples mixes into a pixel beside them does not count: it is no part of the file.

use std::ops::Range;

use image::GrayImage;

use super::coded::{Coded, Component};

/// A component on its picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    size: (u32, u32),
    sampling: (u32, u32),
    sampling_max: (u32, u32),
}

/// Pixels, across and down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: Range<u32>,
    pub(super) y: Range<u32>,
}

impl Grid {
    pub(super) fn new(coded: &Coded<'_>, component: &Component) -> Self {
        Self {
            size: coded.size,
            sampling: component.sampling,
            sampling_max: coded.sampling_max,
        }
    }

    /// The pixels that the sample at column `x` and row `y` stands for. Samples beyond the picture's edge repeat the last ones.
    pub(super) fn sample(&self, x: u32, y: u32) -> Area {
        Area {
            x: span(x..x + 1, self.sampling.0, self.sampling_max.0, self.size.0),
            y: span(y..y + 1, self.sampling.1, self.sampling_max.1, self.size.1),
        }
    }

    /// The pixels that the samples of a block stand for.
    pub(super) fn block(&self, column: u32, row: u32) -> Area {
        let samples = |block: u32| block * 8..block * 8 + 8;
        Area {
            x: span(
                samples(column),
                self.sampling.0,
                self.sampling_max.0,
                self.size.0,
            ),
            y: span(
                samples(row),
                self.sampling.1,
                self.sampling_max.1,
                self.size.1,
            ),
        }
    }
}

/// Whether the matte is anywhere in the area.
pub(super) fn reaches(matte: &GrayImage, area: &Area) -> bool {
    let width = matte.width() as usize;
    let rows = matte.as_raw().chunks_exact(width.max(1));
    rows.skip(area.y.start as usize)
        .take(area.y.len())
        .any(|row| {
            row[area.x.start as usize..area.x.end as usize]
                .iter()
                .any(|&value| value != 0)
        })
}

/// The pixels of a range of samples, of `length` in all.
fn span(samples: Range<u32>, sampling: u32, sampling_max: u32, length: u32) -> Range<u32> {
    let last = (length * sampling).div_ceil(sampling_max) - 1;
    let (first, end) = (samples.start.min(last), samples.end.min(last + 1));
    let start = first * sampling_max / sampling;
    start..(end * sampling_max).div_ceil(sampling).min(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(size: (u32, u32), sampling: (u32, u32)) -> Grid {
        Grid {
            size,
            sampling,
            sampling_max: (2, 2),
        }
    }

    #[test]
    fn a_sample_stands_for_its_pixels() {
        let area = |x, y| Area { x, y };
        assert_eq!(grid((17, 9), (2, 2)).sample(3, 4), area(3..4, 4..5));
        assert_eq!(grid((17, 9), (1, 1)).sample(3, 4), area(6..8, 8..9));
        // Beyond the edge it is the last.
        assert_eq!(grid((17, 9), (1, 1)).sample(30, 30), area(16..17, 8..9));
        assert_eq!(grid((17, 9), (1, 1)).block(0, 0), area(0..16, 0..9));
        assert_eq!(grid((17, 9), (1, 1)).block(1, 0), area(16..17, 0..9));
        assert_eq!(grid((17, 9), (2, 1)).block(2, 0), area(16..17, 0..9));
    }
}
