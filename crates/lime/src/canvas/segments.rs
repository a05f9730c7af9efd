//! The segments of a picture as they are told to a user, who chooses among them.

use limekiln_pictures::Labels;

use super::read::Canvas;
use crate::roi::{Segments, components};

/// The connected parts of a picture's segments, numbered from 1 in reading order.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// Number of each cell of the grid. What is beyond 65,535 has none.
    pub labels: Labels,
    /// The parts, by number.
    pub parts: Vec<Part>,
}

/// A connected part of a segment, in pixels of the whole picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many pixels it has.
    pub area: u64,
    /// The rectangle around it: left, top, width, height.
    pub bounds: [u32; 4],
    /// Its mean color, of 8 bits in sRGB.
    pub color: [u8; 3],
}

/// What is summed up of a part.
#[derive(Clone)]
struct Sum {
    area: u64,
    colors: [u64; 3],
    /// Left, top, right, bottom, all inside.
    around: [u32; 4],
}

impl Canvas {
    /// Numbers the parts of `segments`, and measures them on the picture.
    pub fn numbered(&self, segments: &Segments) -> Option<Numbered> {
        let ids = components(&segments.labels, segments.side);
        let numbers = ids.iter().map(|id| u16::try_from(id + 1).unwrap_or(0));
        let labels = Labels::new(u32::try_from(segments.side).ok()?, numbers.collect())?;
        let none = Sum {
            area: 0,
            colors: [0; 3],
            around: [u32::MAX, u32::MAX, 0, 0],
        };
        let mut sums = vec![none; labels.count() as usize + 1];
        let picture = self.original.on_white();
        let size = picture.dimensions();
        for (x, y, pixel) in picture.enumerate_pixels() {
            let sum = &mut sums[usize::from(labels.at((x, y), size))];
            sum.area += 1;
            for (sum, value) in sum.colors.iter_mut().zip(pixel.0) {
                *sum += u64::from(value);
            }
            let [left, top, right, bottom] = sum.around;
            sum.around = [left.min(x), top.min(y), right.max(x), bottom.max(y)];
        }
        let parts = sums.into_iter().skip(1).map(|sum| {
            let [left, top, right, bottom] = sum.around;
            let bounds = match sum.area {
                // Of a picture smaller than the grid, a cell may have no pixel.
                0 => [0; 4],
                _ => [left, top, right - left + 1, bottom - top + 1],
            };
            let area = sum.area.max(1);
            Part {
                area: sum.area,
                bounds,
                color: sum.colors.map(|sum| ((sum + area / 2) / area) as u8),
            }
        });
        Some(Numbered {
            parts: parts.collect(),
            labels,
        })
    }
}
