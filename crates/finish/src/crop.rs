//! The part of a picture around a region, as small as deciding needs.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::pixels::Pixels;
use crate::plane::{Plane, edge_kept};
use crate::region::Region;

/// The longest side, in cells, at which it is decided what belongs to the object. More costs time and finds no more: the
/// full-size edge is looked at afterwards.
const LONGEST: f32 = 384.0;
/// How much of the object's size is looked at around its region, as ring to compare with.
const AROUND: f32 = 0.4;
/// Grain that is blurred away: OKLab, in units of which a difference of one weighs 0.6.
const GRAIN: [f32; 3] = [0.06, 0.025, 0.025];

/// Where the crop lies, and how pixels become cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    /// Left and top, in pixels of the picture.
    pub(crate) left: usize,
    pub(crate) top: usize,
    /// Size in pixels.
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Pixels a cell, across and down.
    pub(crate) across: f32,
    pub(crate) down: f32,
}

impl Place {
    /// Around a region that has an inside.
    fn around(pixels: &Pixels<'_>, region: &Region) -> Result<Self> {
        let (w, h) = (pixels.width() as f32, pixels.height() as f32);
        let [left, top, right, bottom] = region.bounds().ok_or(Error::RegionEmpty)?;
        let grow = (AROUND * (region.share() * w * h).sqrt()).max(12.0);
        let low = |at: f32| (at - grow).max(0.0) as usize;
        let high = |at: f32, end: usize| ((at + grow).ceil() as usize).min(end);
        let (left, right) = (low(left * w), high(right * w, pixels.width()));
        let (top, bottom) = (low(top * h), high(bottom * h, pixels.height()));
        let (width, height) = (right - left, bottom - top);
        let shrink = (width.max(height) as f32 / LONGEST).max(1.0);
        let cells = |length: usize| ((length as f32 / shrink).round()).max(1.0) as usize;
        Ok(Self::of(
            [left, top, width, height],
            (cells(width), cells(height)),
        ))
    }

    /// Of left, top, width and height in pixels, and the cells in a row and column.
    pub(crate) fn of([left, top, width, height]: [usize; 4], cells: (usize, usize)) -> Self {
        Self {
            left,
            top,
            width,
            height,
            across: width as f32 / cells.0 as f32,
            down: height as f32 / cells.1 as f32,
        }
    }

    /// Cells in a row and rows.
    pub(crate) fn cells(&self) -> (usize, usize) {
        (
            (self.width as f32 / self.across).round() as usize,
            (self.height as f32 / self.down).round() as usize,
        )
    }

    /// The place of a pixel of the crop, in cells from the first one's center.
    pub(crate) fn cell(&self, x: usize, y: usize) -> (f32, f32) {
        (
            (x as f32 + 0.5) / self.across - 0.5,
            (y as f32 + 0.5) / self.down - 0.5,
        )
    }
}

/// The crop in cells.
pub(crate) struct Crop {
    pub(crate) place: Place,
    /// OKLab without grain.
    pub(crate) colors: Plane<[f32; 3]>,
    /// Encoded as sRGB is, whatever the picture's space: what edges are mixed in.
    pub(crate) coded: Plane<[f32; 3]>,
    /// The region, 0..1.
    pub(crate) region: Plane<f32>,
    /// Attention, 0..1, where there is any.
    pub(crate) attention: Option<Plane<f32>>,
    /// Cells across one value of the region: finer than this it says nothing.
    pub(crate) coarse: f32,
}

impl Crop {
    pub(crate) fn new(
        pixels: &Pixels<'_>,
        region: &Region,
        attention: Option<&Region>,
        beat: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Self> {
        let place = Place::around(pixels, region)?;
        let (width, height) = place.cells();
        let mut light = vec![[0.0; 3]; width * height];
        light
            .par_chunks_mut(width)
            .enumerate()
            .try_for_each(|(y, row)| {
                beat()?;
                mean_row(pixels, &place, y, row);
                Ok::<(), Error>(())
            })?;
        let linear = Plane {
            width,
            height,
            data: light,
        };
        let space = pixels.light();
        let colors = linear.map(|light| {
            let color = space.oklab(light);
            [color.l, color.a, color.b]
        });
        let sampled = |of: &Region| {
            Plane::from_fn(width, height, |x, y| {
                let across = place.left as f32 + (x as f32 + 0.5) * place.across;
                let down = place.top as f32 + (y as f32 + 0.5) * place.down;
                of.at(
                    across / pixels.width() as f32,
                    down / pixels.height() as f32,
                )
            })
        };
        let (columns, _) = region.size();
        Ok(Self {
            place,
            colors: edge_kept(&colors, GRAIN),
            coded: linear.map(|light| light.map(crate::coded::code)),
            region: sampled(region),
            attention: attention.map(sampled),
            coarse: pixels.width() as f32 / columns as f32 / place.across,
        })
    }
}

/// A row of cells: the mean light of the pixels of each.
fn mean_row(pixels: &Pixels<'_>, place: &Place, y: usize, row: &mut [[f32; 3]]) {
    let span = |i: usize, step: f32, length: usize| {
        let from = ((i as f32 * step).round() as usize).min(length - 1);
        let to = (((i + 1) as f32 * step).round() as usize).clamp(from + 1, length);
        from..to
    };
    for (x, out) in row.iter_mut().enumerate() {
        let (columns, rows) = (
            span(x, place.across, place.width),
            span(y, place.down, place.height),
        );
        let count = (columns.len() * rows.len()) as f32;
        for v in rows {
            for u in columns.clone() {
                let light = pixels.linear(place.left + u, place.top + v);
                (0..3).for_each(|c| out[c] += light[c] / count);
            }
        }
    }
}
