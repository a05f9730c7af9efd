//! Input and result at the model's size.

use rayon::prelude::*;

use super::Rendered;
use crate::error::{Error, Result};
use crate::light::Light;
use crate::matte::Matte;
use crate::pixels::Pixels;
use crate::plane::Plane;
use crate::region::{Region, allowed};

/// A cell for each pixel of the model's picture.
pub(super) struct Cells {
    /// Linear light of the full-size picture's space, before and after.
    pub(super) before: Plane<[f32; 3]>,
    pub(super) after: Plane<[f32; 3]>,
    /// How much of a change each may take, 0..1.
    pub(super) allowed: Plane<f32>,
    /// Pixels of the full-size picture.
    full: (usize, usize),
}

impl Cells {
    pub(super) fn new(
        pixels: &Pixels<'_>,
        rendered: &Rendered<'_>,
        bounds: &[Region],
    ) -> Result<Self> {
        let Rendered { before, after } = rendered;
        if (before.width(), before.height()) != (after.width(), after.height()) {
            return Err(Error::Size {
                what: "the decoded input",
                got: format!("{}x{}", before.width(), before.height()),
                want: format!("{}x{}", after.width(), after.height()),
            });
        }
        let (width, height) = (before.width(), before.height());
        let linear = |of: &Pixels<'_>| {
            Plane::from_fn(width, height, |x, y| brought(of, pixels.light(), x, y))
        };
        Ok(Self {
            before: linear(before),
            after: linear(after),
            allowed: Plane::from_fn(width, height, |x, y| allowed(bounds, before, x, y)),
            full: (pixels.width(), pixels.height()),
        })
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.before.width, self.before.height)
    }

    /// The pixels of the full-size picture that are a cell's, along one side.
    pub(super) fn span(at: usize, cells: usize, pixels: usize) -> std::ops::Range<usize> {
        let from = (at * pixels / cells).min(pixels - 1);
        let to = ((at + 1) * pixels / cells).clamp(from + 1, pixels);
        from..to
    }

    /// How much of each cell is in a matte, 0..1.
    pub(super) fn share(&self, matte: &Matte) -> Plane<f32> {
        let (width, height) = self.size();
        let mut data = vec![0.0; width * height];
        let [left, top, across, down] = matte.bounds();
        data.par_chunks_mut(width).enumerate().for_each(|(y, row)| {
            let rows = Self::span(y, height, self.full.1);
            if rows.end <= top || rows.start >= top + down {
                return;
            }
            for (x, out) in row.iter_mut().enumerate() {
                let columns = Self::span(x, width, self.full.0);
                if columns.end <= left || columns.start >= left + across {
                    continue;
                }
                let count = rows.len() * columns.len() * 255;
                let sum: usize = rows
                    .clone()
                    .flat_map(|v| columns.clone().map(move |u| (u, v)))
                    .map(|(u, v)| usize::from(matte.alpha(u, v)))
                    .sum();
                *out = sum as f32 / count as f32;
            }
        });
        Plane {
            width,
            height,
            data,
        }
    }
}

/// Linear light of a pixel in another space; what that space does not have is cut.
fn brought(of: &Pixels<'_>, space: &Light, x: usize, y: usize) -> [f32; 3] {
    let srgb = of.light().to_srgb(of.linear(x, y));
    space.of_srgb(srgb).map(|value| value.clamp(0.0, 1.0))
}
