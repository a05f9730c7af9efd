//! The flat part of an object: surely its own, away from its edge, and in the middle of its light. A color is set and
//! measured there. It is chosen from the input and the matte, never from a result.

use crate::error::Error;
use crate::matte::Matte;
use crate::pixels::Pixels;

/// Side of the blocks whose means count: grain and weave are no matter of color.
pub(crate) const BLOCK: usize = 16;
/// Pixels from the edge of the object.
const EDGE: usize = 8;
/// The share from which a pixel is surely the object's, of 255.
const SURE: u8 = 253;
/// How far the lightness of a block may be from the object's median, in L\*.
const WITHIN: f32 = 5.0;
/// L\* of what is neither deep shadow nor glare.
const LIT: std::ops::Range<f32> = 8.0..92.0;
/// Blocks that are looked at, and pixels for the median: more say no more.
const BLOCKS: usize = 160;
const PIXELS: usize = 40_000;

/// Blocks, and what the object's own color is in them.
pub(crate) struct Flat {
    /// Left, top and side of each: single pixels where the object has no room for blocks.
    pub(crate) blocks: Vec<(usize, usize, usize)>,
    /// The object's own color under even light, which is the target's place: linear light.
    pub(crate) color: [f32; 3],
    /// Light in the middle of the blocks, of the even light.
    pub(crate) light: f32,
}

/// CIE lightness of luminance.
pub(crate) fn lightness(luminance: f32) -> f32 {
    if luminance > 0.008_856 {
        116.0 * luminance.cbrt() - 16.0
    } else {
        903.3 * luminance
    }
}

impl Flat {
    pub(crate) fn of(pixels: &Pixels<'_>, matte: &Matte) -> Result<Self, Error> {
        let [left, top, width, height] = matte.bounds();
        let step = ((width * height / PIXELS) as f32).sqrt().max(1.0) as usize;
        let places = || {
            (top..top + height)
                .step_by(step)
                .flat_map(|y| (left..left + width).step_by(step).map(move |x| (x, y)))
        };
        let light =
            |(x, y): (usize, usize)| lightness(pixels.light().luminance(pixels.linear(x, y)));
        let mut own: Vec<(usize, usize)> = places()
            .filter(|(x, y)| matte.alpha(*x, *y) >= SURE)
            .collect();
        if own.len() < 30 {
            own = places()
                .filter(|(x, y)| matte.alpha(*x, *y) >= 128)
                .collect();
        }
        let mut lights: Vec<f32> = own.iter().map(|at| light(*at)).collect();
        let lit: Vec<f32> = lights
            .iter()
            .copied()
            .filter(|light| LIT.contains(light))
            .collect();
        if lit.len() * 2 > lights.len() {
            lights = lit;
        }
        if lights.is_empty() {
            return Err(Error::NothingFound);
        }
        let half = lights.len() / 2;
        let middle = *lights.select_nth_unstable_by(half, f32::total_cmp).1;
        let whole = |x: usize, y: usize| {
            let (from_x, from_y) = (x.wrapping_sub(EDGE), y.wrapping_sub(EDGE));
            let far = BLOCK + 2 * EDGE - 1;
            // Every fourth pixel of the block and of the margin around it.
            (0..=far).step_by(4).chain([far]).all(|v| {
                (0..=far)
                    .step_by(4)
                    .chain([far])
                    .all(|u| matte.alpha(from_x.wrapping_add(u), from_y.wrapping_add(v)) >= SURE)
            })
        };
        let mean_light = |x, y| lightness(pixels.light().luminance(mean(pixels, (x, y, BLOCK), 1)));
        let mut blocks: Vec<(usize, usize, usize)> = (top.next_multiple_of(BLOCK)
            ..(top + height).saturating_sub(BLOCK))
            .step_by(BLOCK)
            .flat_map(|y| {
                (left.next_multiple_of(BLOCK)..(left + width).saturating_sub(BLOCK))
                    .step_by(BLOCK)
                    .map(move |x| (x, y))
            })
            .filter(|(x, y)| whole(*x, *y))
            .filter(|(x, y)| (mean_light(*x, *y) - middle).abs() < WITHIN)
            .map(|(x, y)| (x, y, BLOCK))
            .collect();
        if blocks.len() < 4 {
            blocks = own
                .iter()
                .filter(|at| (light(**at) - middle).abs() < WITHIN)
                .map(|(x, y)| (*x, *y, 1))
                .collect();
        }
        if blocks.is_empty() {
            blocks = own.iter().map(|(x, y)| (*x, *y, 1)).collect();
        }
        let most = if blocks[0].2 == 1 {
            BLOCKS * 16
        } else {
            BLOCKS
        };
        let step = blocks.len().div_ceil(most);
        let blocks: Vec<_> = blocks.into_iter().step_by(step).collect();
        let means: Vec<[f32; 3]> = blocks.iter().map(|block| mean(pixels, *block, 1)).collect();
        // Half way from the blocks' middle to the whole object's: blocks lie where the light is even, and that may be its
        // brighter part.
        let color = median(&means);
        let own = lightness(pixels.light().luminance(color));
        let light = (2.0 * (own + 16.0) / (own + middle + 32.0)).powi(3);
        Ok(Self {
            color: color.map(|value| value / light),
            light,
            blocks,
        })
    }
}

/// Mean light of a block, of every `step`th pixel and row.
pub(crate) fn mean(pixels: &Pixels<'_>, block: (usize, usize, usize), step: usize) -> [f32; 3] {
    mean_of(block, step, |x, y| pixels.linear(x, y))
}

/// The mean of what `light` gives for a block's pixels.
pub(crate) fn mean_of(
    (left, top, side): (usize, usize, usize),
    step: usize,
    light: impl Fn(usize, usize) -> [f32; 3],
) -> [f32; 3] {
    let mut sum = [0.0; 3];
    let mut count = 0.0;
    for y in (top..top + side).step_by(step) {
        for x in (left..left + side).step_by(step) {
            let light = light(x, y);
            (0..3).for_each(|c| sum[c] += light[c]);
            count += 1.0;
        }
    }
    sum.map(|value| value / count)
}

/// The median of each number.
pub(crate) fn median(values: &[[f32; 3]]) -> [f32; 3] {
    [0, 1, 2].map(|c| {
        let mut values: Vec<f32> = values.iter().map(|value| value[c]).collect();
        let half = values.len() / 2;
        if values.is_empty() {
            0.0
        } else {
            *values.select_nth_unstable_by(half, f32::total_cmp).1
        }
    })
}
