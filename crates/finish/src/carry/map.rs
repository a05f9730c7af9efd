//! Which color becomes which in one material, place by place.
//!
//! A material is one paint under some light, before and after. Both paints are means over cells that are wholly the
//! material's, near a place: of the model's picture only these smooth colors are taken. Shading, weave, grain and highlights
//! stay the picture's own ([`Paint`]). Where the material has colors beside its paint that the edit kept (a pattern under
//! another light), they are kept as well.

use crate::light::{Light, dot};
use crate::plane::{Plane, blur};
use crate::recolor::Paint;

use super::cells::Cells;

/// The longest side of the grid on which means are taken: they are smooth.
const LONGEST: usize = 128;
/// Reach of a mean, as a share of the picture's longer side.
const REACH: f32 = 0.1;
/// So many cells of the grid make a mean that is trusted; where there are fewer, the whole material's counts too.
const ENOUGH: f32 = 60.0;
/// Share of a cell from which it is the material's alone.
const WHOLE: f32 = 0.98;
/// The fewest whole cells that speak for a material.
const FEWEST: usize = 12;

/// The old and the new paint of a material.
pub(super) struct Map {
    old: Plane<[f32; 3]>,
    new: Plane<[f32; 3]>,
    /// Cells of the model's picture for one of the grid.
    step: f32,
    /// How much of the colors beside the paint was kept, 0..1.
    kept: f32,
    change: f32,
}

impl Map {
    /// None where the material has no cell of its own. `share` says how much of each cell is the material's.
    pub(super) fn new(space: &Light, cells: &Cells, share: &Plane<f32>) -> Option<Self> {
        let weight = weights(cells, share)?;
        let step = cells.size().0.max(cells.size().1).div_ceil(LONGEST);
        let sums = |of: &dyn Fn(usize) -> f32| summed(&weight, step, of);
        let total = sums(&|_| 1.0);
        let sigma = REACH * total.width.max(total.height) as f32;
        let near = blur(&total, sigma);
        let count = 2.0 * std::f32::consts::PI * sigma * sigma / (step * step) as f32;
        let means = |colors: &Plane<[f32; 3]>| {
            let channels = [0, 1, 2].map(|c| sums(&|i| colors.data[i][c]));
            let all = total.sum().max(1e-9);
            let whole = [0, 1, 2].map(|c| channels[c].sum() / all);
            let local = channels.map(|channel| blur(&channel, sigma));
            let data = (0..near.data.len()).map(|i| {
                let trust = (near.data[i] * count / ENOUGH).min(1.0);
                [0, 1, 2].map(|c| {
                    let mean = local[c].data[i] / near.data[i].max(1e-9);
                    trust * mean + (1.0 - trust) * whole[c]
                })
            });
            Plane {
                width: near.width,
                height: near.height,
                data: data.collect(),
            }
        };
        let mut map = Self {
            old: means(&cells.before),
            new: means(&cells.after),
            step: step as f32,
            kept: 0.0,
            change: change(space, cells, &weight),
        };
        map.kept = map.kept(space, cells, &weight);
        Some(map)
    }

    /// How far the edit moved the material's colors, in OKLab.
    pub(super) fn change(&self) -> f32 {
        self.change
    }

    /// Both paints at a place, in cells of the model's picture from the first one's center.
    pub(super) fn paints(&self, (x, y): (f32, f32)) -> ([f32; 3], [f32; 3]) {
        let at = |v: f32| (v + 0.5) / self.step - 0.5;
        (
            self.old.sampled(at(x), at(y)),
            self.new.sampled(at(x), at(y)),
        )
    }

    /// What the edit makes of a color at a place; linear light, which may lie above 1.
    pub(super) fn over(&self, space: &Light, color: [f32; 3], place: (f32, f32)) -> [f32; 3] {
        let (old, new) = self.paints(place);
        let painted = Paint::new(space, old, new).over(color);
        if self.kept == 0.0 {
            return painted;
        }
        let (beside, shade, gain) = beside(space, color, old, new);
        [0, 1, 2].map(|c| {
            let moved = (shade * new[c] + gain * beside[c]).max(0.0);
            (1.0 - self.kept) * painted[c] + self.kept * moved
        })
    }

    /// By how much what lies beside the paint before is found again after.
    fn kept(&self, space: &Light, cells: &Cells, weight: &Plane<f32>) -> f32 {
        let width = cells.size().0;
        let (mut both, mut own) = (0.0_f64, 0.0_f64);
        for (i, weight) in weight.data.iter().enumerate().filter(|(_, w)| **w > 0.0) {
            let place = ((i % width) as f32, (i / width) as f32);
            let (old, new) = self.paints(place);
            let (before, _, gain) = beside(space, cells.before.data[i], old, new);
            let (after, ..) = beside(space, cells.after.data[i], new, new);
            both += f64::from(weight * gain * dot(before, after));
            own += f64::from(weight * gain * gain * dot(before, before));
        }
        if own > 1e-9 {
            (both / own).clamp(0.0, 1.0) as f32
        } else {
            0.0
        }
    }
}

/// What a color has beside a paint under its light, how bright that light is, and how much brighter the new paint is.
fn beside(space: &Light, color: [f32; 3], old: [f32; 3], new: [f32; 3]) -> ([f32; 3], f32, f32) {
    let paint = space.luminance(old).max(1e-4);
    let shade = space.luminance(color) / paint;
    (
        [0, 1, 2].map(|c| color[c] - shade * old[c]),
        shade,
        space.luminance(new) / paint,
    )
}

/// How much each cell speaks for the material: those whose neighbours are wholly its own, as long as there are any.
fn weights(cells: &Cells, share: &Plane<f32>) -> Option<Plane<f32>> {
    let whole = share.with(&cells.allowed, |share, allowed| {
        if allowed < 1.0 { share.min(0.5) } else { share }
    });
    let least = Plane::from_fn(share.width, share.height, |x, y| {
        let rows = y.saturating_sub(1)..(y + 2).min(share.height);
        rows.flat_map(|v| (x.saturating_sub(1)..(x + 2).min(share.width)).map(move |u| (u, v)))
            .fold(1.0_f32, |least, (u, v)| least.min(whole.at(u, v)))
    });
    let flags = |of: &Plane<f32>, from: f32| of.map(|v| if v >= from { 1.0 } else { 0.0 });
    [
        flags(&least, WHOLE),
        flags(&whole, WHOLE),
        flags(share, 0.6),
    ]
    .into_iter()
    .find(|plane| plane.data.iter().filter(|w| **w > 0.0).count() >= FEWEST)
    .or_else(|| {
        let any = share.map(|v| v * v);
        (any.sum() > 0.5).then_some(any)
    })
}

/// Weighted sums over squares of `step` cells, per cell.
fn summed(weight: &Plane<f32>, step: usize, of: &dyn Fn(usize) -> f32) -> Plane<f32> {
    let (width, height) = (weight.width.div_ceil(step), weight.height.div_ceil(step));
    let mut out = Plane::filled(width, height, 0.0);
    for (i, w) in weight.data.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        let (x, y) = (i % weight.width, i / weight.width);
        out.data[y / step * width + x / step] += w * of(i);
    }
    out
}

fn change(space: &Light, cells: &Cells, weight: &Plane<f32>) -> f32 {
    let (mut sum, mut all) = (0.0_f64, 0.0_f64);
    for (i, weight) in weight.data.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        let apart = apart(space, cells.before.data[i], cells.after.data[i]);
        sum += f64::from(weight * apart.sqrt());
        all += f64::from(*weight);
    }
    (sum / all.max(1e-9)) as f32
}

/// The square of how far two colors are apart, in OKLab.
pub(super) fn apart(space: &Light, a: [f32; 3], b: [f32; 3]) -> f32 {
    let (a, b) = (space.oklab(a), space.oklab(b));
    (a.l - b.l).powi(2) + (a.a - b.a).powi(2) + (a.b - b.b).powi(2)
}
