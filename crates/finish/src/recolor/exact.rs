//! One material's paint, so that its flat part ends at a color.

use palette::Oklab;
use palette::color_difference::Ciede2000;

use super::Report;
use super::flat::{self, Flat};
use super::paint::Paint;
use crate::color::Color;
use crate::error::Result;
use crate::gamut::reduce_in;
use crate::matte::Matte;
use crate::pixels::{Pixels, Samples};

/// How often the paint is corrected by what comes out in the flat part: compression near white and black moves the mean.
const CORRECTIONS: usize = 3;

/// A material's paint in a color.
pub(crate) struct Exact {
    flat: Flat,
    paint: Paint,
    target: Oklab<f32>,
    out_of_gamut: bool,
}

impl Exact {
    /// Of the material of a matte.
    pub(crate) fn new(pixels: &Pixels<'_>, matte: &Matte, color: Color) -> Result<Self> {
        let space = pixels.light();
        let (target, out_of_gamut) = reduce_in(color.oklab(), |color| space.of_oklab(color));
        let flat = Flat::of(pixels, matte)?;
        Ok(Self {
            paint: corrected(pixels, &flat, target),
            flat,
            target,
            out_of_gamut,
        })
    }

    /// A pixel in the new paint; linear light, which may lie above 1.
    pub(crate) fn over(&self, pixel: [f32; 3]) -> [f32; 3] {
        self.paint.over(pixel)
    }

    /// What came of it in a result of these pixels.
    pub(crate) fn report(
        &self,
        pixels: &Pixels<'_>,
        result: Samples<'_>,
        reduced_pixels: usize,
    ) -> Result<Report> {
        let space = pixels.light();
        let after = Pixels::new(pixels.width(), pixels.height(), result, space)?;
        let goal = Color::from_oklab(self.target);
        let blocks = self.flat.blocks.iter();
        let mut apart: Vec<f32> = blocks
            .map(|block| {
                Color::from_linear(space.to_srgb(flat::mean(&after, *block, 1)))
                    .lab()
                    .difference(goal.lab())
            })
            .collect();
        apart.sort_by(f32::total_cmp);
        Ok(Report {
            from: Color::from_linear(space.to_srgb(self.flat.color)),
            to: goal,
            out_of_gamut: self.out_of_gamut,
            reduced_pixels,
            gain: self.paint.gain(),
            gain_limited: self.paint.gain() > super::paint::GAIN,
            median: apart[apart.len() / 2],
            p95: apart[(apart.len() * 95 / 100).min(apart.len() - 1)],
            means: apart.len(),
        })
    }
}

/// The paint with which the flat part ends at the target.
fn corrected(pixels: &Pixels<'_>, flat: &Flat, target: Oklab<f32>) -> Paint {
    let space = pixels.light();
    let mut aim = target;
    let at = |aim| {
        let (shown, _) = reduce_in(aim, |color| space.of_oklab(color));
        Paint::new(
            space,
            flat.color,
            space.of_oklab(shown).map(|value| value.clamp(0.0, 1.0)),
        )
    };
    // What the middle of the blocks should come out as, under the light that it has.
    let goal = space.oklab(
        space
            .of_oklab(target)
            .map(|value| (value * flat.light).min(1.0)),
    );
    let mut paint = at(aim);
    for _ in 0..CORRECTIONS {
        let means: Vec<[f32; 3]> = flat
            .blocks
            .iter()
            .map(|block| {
                let mean = flat::mean_of(*block, 2, |x, y| {
                    paint.over(pixels.linear(x, y)).map(|value| value.min(1.0))
                });
                let color = space.oklab(mean);
                [color.l, color.a, color.b]
            })
            .collect();
        let [l, a, b] = flat::median(&means);
        aim = Oklab::new(aim.l + goal.l - l, aim.a + goal.a - a, aim.b + goal.b - b);
        paint = at(aim);
    }
    paint
}
