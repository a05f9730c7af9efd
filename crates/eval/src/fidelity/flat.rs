//! The flat part of an object: away from its edge and in the middle of its light, where a color can be told. It is chosen from the
//! input and the true mask, never from a result.

use image::RgbImage;
use limekiln_finish::Color;

use super::color::{delta_e, labs};
use super::{distances, median};

/// Side of the blocks whose means count.
const BLOCK: usize = 16;
/// Pixels from the edge.
const EDGE_PX: f32 = 8.0;
/// How far the lightness of a block may be from the object's median.
const WITHIN: f64 = 5.0;

/// Blocks of pixels, by their upper left corners and sides: single pixels of an object that has no room for larger ones.
#[derive(Clone, Debug)]
pub(super) struct Flat {
    blocks: Vec<(usize, usize, usize)>,
}

impl Flat {
    /// Of an input and the colored part of its object.
    pub(super) fn of(input: &RgbImage, colored: &[bool]) -> Self {
        let (width, height) = (input.width() as usize, input.height() as usize);
        let rest: Vec<bool> = colored.iter().map(|inside| !inside).collect();
        let depth = distances(&rest, width, height);
        let lights: Vec<f64> = labs(input).iter().map(|lab| f64::from(lab.l)).collect();
        let own = lights.iter().zip(colored).filter(|(_, inside)| **inside);
        let middle = median(&mut own.map(|(light, _)| *light).collect::<Vec<_>>());
        let fits = |&(left, top, side): &(usize, usize, usize)| {
            let mut sum = 0.0;
            for y in top..top + side {
                for x in left..left + side {
                    if depth[y * width + x] <= EDGE_PX {
                        return false;
                    }
                    sum += lights[y * width + x];
                }
            }
            (sum / (side * side) as f64 - middle).abs() < WITHIN
        };
        let tops = (0..(height + 1).saturating_sub(BLOCK)).step_by(BLOCK);
        let lefts = (0..(width + 1).saturating_sub(BLOCK)).step_by(BLOCK);
        let blocks = tops.flat_map(|top| lefts.clone().map(move |left| (left, top, BLOCK)));
        let mut blocks: Vec<_> = blocks.filter(fits).collect();
        if blocks.is_empty() {
            // The half of a narrow object that is farthest from its edge.
            let own = (0..colored.len()).filter(|&i| colored[i]);
            let mut depths: Vec<f64> = own.clone().map(|i| f64::from(depth[i])).collect();
            let least = median(&mut depths);
            let deep = own
                .filter(|&i| f64::from(depth[i]) >= least && (lights[i] - middle).abs() < WITHIN);
            blocks = deep.map(|i| (i % width, i / width, 1)).collect();
        }
        Self { blocks }
    }

    fn means<'a>(&'a self, picture: &'a RgbImage) -> impl Iterator<Item = [f32; 3]> + 'a {
        self.blocks.iter().map(|&(left, top, side)| {
            let mut sum = [0.0; 3];
            for y in top..top + side {
                for x in left..left + side {
                    let pixel = picture.get_pixel(x as u32, y as u32).0;
                    let light = Color::from_srgb8(pixel).linear();
                    (0..3).for_each(|c| sum[c] += light[c] / (side * side) as f32);
                }
            }
            sum
        })
    }

    /// The color of a picture's flat part: the median of the means of its blocks.
    pub(super) fn color(&self, picture: &RgbImage) -> Option<Color> {
        let means: Vec<[f32; 3]> = self.means(picture).collect();
        (!means.is_empty()).then(|| {
            Color::from_linear([0, 1, 2].map(|c| {
                let mut values: Vec<f64> = means.iter().map(|mean| f64::from(mean[c])).collect();
                median(&mut values) as f32
            }))
        })
    }

    /// ΔE00 of the means of its blocks to a color: median and 95th percentile.
    pub(super) fn apart(&self, picture: &RgbImage, color: Color) -> Option<(f64, f64)> {
        let lab = |color: Color| {
            let lab = color.lab();
            super::Lab::new(lab.l, lab.a, lab.b)
        };
        let goal = lab(color);
        let means = self.means(picture);
        let mut apart: Vec<f64> = means
            .map(|mean| delta_e(lab(Color::from_linear(mean)), goal))
            .collect();
        apart.sort_by(f64::total_cmp);
        let last = apart.len().checked_sub(1)?;
        Some((
            apart[apart.len() / 2],
            apart[(apart.len() * 95 / 100).min(last)],
        ))
    }
}
