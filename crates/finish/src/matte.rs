//! How much of each pixel is the object's, and what the object's and the other color there are.
//!
//! Cells surely inside are wholly the object's, cells surely outside not at all. Between them a pixel is a mixture
//! `I = a F + (1 - a) B`: both colors are taken from the sure cells nearby, and the share `a` is where the pixel lies between
//! them. Two that are too alike to tell by color are parted where the cells were.

use image::GrayImage;
use rayon::prelude::*;

use crate::coded::code;
use crate::crop::{Crop, Place};
use crate::error::{Error, Result};
use crate::pixels::Pixels;
use crate::plane::{Plane, blur, signed_distance};
use crate::region::Region;
use crate::spread::Spread;

/// Cells on each side of a border that are looked at closely.
const BAND: f32 = 2.0;
/// Reaches at which colors are gathered, in cells: the nearest that finds some counts.
const REACHES: [f32; 4] = [2.0, 4.0, 10.0, 32.0];

/// A soft, full-size mask of one material.
#[derive(Clone, Debug)]
pub struct Matte {
    place: Place,
    /// Of the pixels of the place, row by row; 255 is wholly the object's.
    alpha: Vec<u8>,
    /// Colors of each cell, encoded: in whole steps, so that a matte that was kept gives the same bytes.
    own: Plane<[u8; 3]>,
    other: Plane<[u8; 3]>,
}

/// What a matte says of a pixel.
pub(crate) struct Mixed {
    /// The object's share, 0..1.
    pub(crate) share: f32,
    /// The object's color nearby, encoded.
    pub(crate) own: [f32; 3],
    /// The other color nearby, encoded.
    pub(crate) other: [f32; 3],
}

impl Matte {
    /// From the decision in cells.
    pub(crate) fn of(
        pixels: &Pixels<'_>,
        place: Place,
        coded: &Plane<[f32; 3]>,
        soft: &Plane<f32>,
        inside: &Plane<bool>,
        beat: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Self> {
        let distance = signed_distance(inside);
        let sure = |side: f32| thin_too(&distance.map(|d| side * d), BAND);
        let (within, without) = (sure(1.0), sure(-1.0));
        let own = gathered(coded, &within);
        let other = gathered(coded, &without);
        let spread = Spread::of(coded, [(&own, &within), (&other, &without)]);
        let mut alpha = vec![0; place.width * place.height];
        alpha
            .par_chunks_mut(place.width * 32)
            .enumerate()
            .try_for_each(|(tile, rows)| {
                beat()?;
                for (i, row) in rows.chunks_mut(place.width).enumerate() {
                    let y = tile * 32 + i;
                    for (x, alpha) in row.iter_mut().enumerate() {
                        let (u, v) = place.cell(x, y);
                        let cells = soft.around(u, v);
                        *alpha = if cells.iter().all(|(cell, _)| within.data[*cell]) {
                            255
                        } else if cells.iter().all(|(cell, _)| without.data[*cell]) {
                            0
                        } else {
                            let pixel = pixels.linear(place.left + x, place.top + y).map(code);
                            let share = spread.share(
                                pixel,
                                (own.sampled(u, v), other.sampled(u, v)),
                                cells,
                                soft,
                            );
                            (share * 255.0).round() as u8
                        };
                    }
                }
                Ok::<(), Error>(())
            })?;
        Ok(Self {
            place,
            alpha,
            own: own.map(stepped),
            other: other.map(stepped),
        })
    }

    /// A mask of the picture's own size, taken as it is: 255 is wholly the object's.
    ///
    /// # Errors
    ///
    /// [`Error::Size`] unless it has the picture's size, [`Error::RegionEmpty`] where nothing is in it; what `beat` gives.
    pub fn from_mask(
        pixels: &Pixels<'_>,
        mask: &GrayImage,
        beat: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Self> {
        let size = (mask.width() as usize, mask.height() as usize);
        if size != (pixels.width(), pixels.height()) {
            return Err(Error::Size {
                what: "the mask",
                got: format!("{}x{}", size.0, size.1),
                want: format!("{}x{}", pixels.width(), pixels.height()),
            });
        }
        let region = Region::from_image(mask);
        let crop = Crop::new(pixels, &region, None, beat)?;
        beat()?;
        let distance = signed_distance(&crop.region.map(|value| value > 0.5));
        let own = gathered(&crop.coded, &thin_too(&distance, BAND));
        let other = gathered(&crop.coded, &thin_too(&distance.map(|d| -d), BAND));
        let place = crop.place;
        let alpha = (0..place.height)
            .flat_map(|y| &mask.as_raw()[(place.top + y) * size.0 + place.left..][..place.width])
            .copied()
            .collect();
        Ok(Self {
            place,
            alpha,
            own: own.map(stepped),
            other: other.map(stepped),
        })
    }

    /// From what it was taken apart into.
    pub(crate) fn from_parts(
        place: Place,
        alpha: Vec<u8>,
        own: Plane<[u8; 3]>,
        other: Plane<[u8; 3]>,
    ) -> Self {
        Self {
            place,
            alpha,
            own,
            other,
        }
    }

    /// Place, shares of its pixels, and both colors of its cells.
    pub(crate) fn parts(&self) -> (&Place, &[u8], [&Plane<[u8; 3]>; 2]) {
        (&self.place, &self.alpha, [&self.own, &self.other])
    }

    /// The matte as a picture of the whole size.
    pub fn to_image(&self, pixels: &Pixels<'_>) -> GrayImage {
        let mut out = GrayImage::new(pixels.width() as u32, pixels.height() as u32);
        self.lay_over(&mut out);
        out
    }

    /// Lays the matte over another of the picture's size: the larger share stays.
    pub fn lay_over(&self, image: &mut GrayImage) {
        let width = image.width() as usize;
        for (y, row) in self.alpha.chunks(self.place.width).enumerate() {
            let out = &mut image.as_mut()[(self.place.top + y) * width + self.place.left..]
                [..self.place.width];
            out.iter_mut()
                .zip(row)
                .for_each(|(out, alpha)| *out = (*out).max(*alpha));
        }
    }

    /// Where it lies: left, top, width and height in pixels of the picture; nothing beyond is the object's.
    pub fn bounds(&self) -> [usize; 4] {
        [
            self.place.left,
            self.place.top,
            self.place.width,
            self.place.height,
        ]
    }

    /// Whether it can be of this picture.
    pub(crate) fn fits(&self, pixels: &Pixels<'_>) -> Result<()> {
        let [left, top, width, height] = self.bounds();
        if left + width <= pixels.width() && top + height <= pixels.height() {
            return Ok(());
        }
        Err(Error::Size {
            what: "the matte",
            got: format!("{width}x{height} at {left}, {top}"),
            want: format!("{}x{}", pixels.width(), pixels.height()),
        })
    }

    /// The object's share of a pixel of the picture, of 255.
    pub(crate) fn alpha(&self, x: usize, y: usize) -> u8 {
        let (u, v) = (
            x.wrapping_sub(self.place.left),
            y.wrapping_sub(self.place.top),
        );
        if u < self.place.width && v < self.place.height {
            self.alpha[v * self.place.width + u]
        } else {
            0
        }
    }

    /// A mixed pixel of the picture, which lies in the matte's bounds.
    pub(crate) fn mixed(&self, x: usize, y: usize) -> Mixed {
        let (u, v) = self.place.cell(x - self.place.left, y - self.place.top);
        Mixed {
            share: f32::from(self.alpha(x, y)) / 255.0,
            own: self.own.sampled(u, v),
            other: self.other.sampled(u, v),
        }
    }
}

/// A color in steps of 8 bits.
fn stepped(color: [f32; 3]) -> [u8; 3] {
    color.map(|value| (value * 255.0).round() as u8)
}

/// Cells more than `band` inside; and those of parts that are thinner than that.
fn thin_too(distance: &Plane<f32>, band: f32) -> Plane<bool> {
    let sure = distance.map(|d| d > band);
    let near = signed_distance(&sure);
    distance.with(&near, |d, near| {
        d > band || d > 0.0 && near < -2.0 * band - 2.0
    })
}

/// The color of flagged cells, carried to all cells.
pub(crate) fn gathered(colors: &Plane<[f32; 3]>, flags: &Plane<bool>) -> Plane<[f32; 3]> {
    let mut sum = vec![[0.0_f32; 3]; colors.data.len()];
    let mut trust = vec![0.0_f32; colors.data.len()];
    let flag = flags.map(|flag| if flag { 1.0 } else { 0.0 });
    for reach in REACHES {
        let weight = blur(&flag, reach);
        let channels: Vec<Plane<f32>> = (0..3)
            .map(|c| blur(&colors.with(&flag, |color, flag| color[c] * flag), reach))
            .collect();
        for i in 0..sum.len() {
            let new = (1.0 - trust[i]) * (weight.data[i] / 0.03).clamp(0.0, 1.0);
            if new > 0.0 {
                (0..3).for_each(|c| {
                    sum[i][c] += new * channels[c].data[i] / weight.data[i].max(1e-9)
                });
                trust[i] += new;
            }
        }
        if trust.iter().all(|trust| *trust > 0.999) {
            break;
        }
    }
    let data = sum
        .iter()
        .zip(&trust)
        .zip(&colors.data)
        .map(|((sum, trust), color)| {
            if *trust > 1e-6 {
                sum.map(|value| value / trust)
            } else {
                *color
            }
        });
    Plane {
        width: colors.width,
        height: colors.height,
        data: data.collect(),
    }
}
