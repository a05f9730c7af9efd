//! The materials inside a region: hills in the plane of tints, each from its shadow to its highlight.

use serde::{Deserialize, Serialize};

use super::enclosing;
use super::histogram::{TINTS, light_bin, tint_bin, tint_of};
use crate::color::Color;
use crate::plane::{Plane, blur};

/// Bins of lightness that part materials without a tint.
const LIGHTS: usize = 64;
/// A tint below which a material is gray, and its lightness what it is told by.
const GRAY: f32 = 0.045;
/// The least share that counts as a material.
const LEAST: f32 = 0.01;
/// How far the tints of one material may be apart.
const NEAR: f32 = 0.055;

/// A material of the object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Material {
    /// Counted from 1, the main one first.
    pub number: usize,
    /// Its share of the object's pixels, 0..1.
    pub share: f32,
    /// Its own color, in the middle of its light.
    pub color: Color,
    /// Whether a recolor with the present choice changes it.
    pub changed: bool,
}

/// Hills of one material.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Weight of its cells.
    pub(super) weight: f32,
    /// How much commoner it is inside than in the ring around.
    pub(super) inside: f32,
    pub(super) tint: [f32; 2],
    /// Which bins of tint it has.
    tints: Vec<bool>,
    /// Lightness from and to, where it has no tint.
    lights: Option<(f32, f32)>,
}

impl Group {
    /// Whether a color is of this material.
    pub(super) fn has(&self, color: [f32; 3]) -> bool {
        self.tints[tint_bin(color)]
            && self
                .lights
                .is_none_or(|(low, high)| (low..=high).contains(&color[0]))
    }

    /// Length of the tint.
    pub(super) fn strength(&self) -> f32 {
        self.tint[0].hypot(self.tint[1])
    }
}

/// Materials by weight, the main one first; what is commoner around than inside counts less. A material that surroundings have as
/// well is no less the object's main one for that: its weight says how much of it is. `weight` is how much each cell is the object's; `core` and `far` are cells surely inside and outside of its region.
pub(super) fn groups(
    colors: &Plane<[f32; 3]>,
    weight: &[f32],
    core: &[bool],
    far: &[bool],
) -> Vec<Group> {
    let bins: Vec<usize> = colors.data.iter().map(|color| tint_bin(*color)).collect();
    let mut heights = Plane::filled(TINTS, TINTS, 0.0);
    for (bin, weight) in bins.iter().zip(weight) {
        heights.data[*bin] += weight;
    }
    let heights = blur(&heights, 0.9);
    let total = heights.sum().max(1e-9);
    let tops = tops(&heights);
    let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count().max(1) as f32;
    let (cores, fars) = (count(core), count(far));
    let mut hills: Vec<Group> = Vec::new();
    for top in 0..tops.len() {
        if tops[top] != top {
            continue;
        }
        let tints: Vec<bool> = tops.iter().map(|t| *t == top).collect();
        let share: f32 = tints
            .iter()
            .zip(&heights.data)
            .filter(|(on, _)| **on)
            .map(|(_, h)| h)
            .sum::<f32>()
            / total;
        if share < LEAST {
            continue;
        }
        let here = |flags: &[bool]| {
            bins.iter()
                .zip(flags)
                .filter(|(bin, flag)| **flag && tints[**bin])
                .count() as f32
        };
        let inside = (here(core) / cores) / (here(far) / fars + 0.003);
        hills.push(Group {
            weight: share,
            inside,
            tint: tint_of(top),
            tints,
            lights: None,
        });
    }
    hills.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    let mut out: Vec<Group> = Vec::new();
    for hill in hills {
        match out.iter_mut().find(|group| kin(group, &hill)) {
            Some(group) => {
                group.weight += hill.weight;
                group
                    .tints
                    .iter_mut()
                    .zip(&hill.tints)
                    .for_each(|(own, other)| *own |= other);
            }
            None => out.push(hill),
        }
    }
    let mut out: Vec<Group> = out
        .into_iter()
        .flat_map(|group| by_light(group, colors, &bins, weight))
        .collect();
    out.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    enclosing::first(&mut out, colors, weight);
    out
}

fn rank(group: &Group) -> f32 {
    group.weight * group.inside.min(1.0)
}

/// For each bin, the top of the hill that it is on.
fn tops(heights: &Plane<f32>) -> Vec<usize> {
    let side = TINTS as isize;
    let mut up: Vec<usize> = (0..TINTS * TINTS)
        .map(|i| {
            let (x, y) = ((i % TINTS) as isize, (i / TINTS) as isize);
            let mut best = i;
            for (dx, dy) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy))) {
                let (u, v) = (x + dx, y + dy);
                if (0..side).contains(&u) && (0..side).contains(&v) {
                    let j = (v * side + u) as usize;
                    if heights.data[j] > heights.data[best] {
                        best = j;
                    }
                }
            }
            best
        })
        .collect();
    for _ in 0..TINTS {
        up = up.iter().map(|next| up[*next]).collect();
    }
    up
}

/// Whether a hill is the group's material in another light: its tint is near, or of one hue; and it is the object's own.
fn kin(group: &Group, hill: &Group) -> bool {
    let apart = (group.tint[0] - hill.tint[0]).hypot(group.tint[1] - hill.tint[1]);
    if apart < NEAR && hill.inside > 1.2 {
        return true;
    }
    let (own, other) = (group.strength(), hill.strength());
    if own < 0.03 || other < 0.025 || hill.inside < 2.5 {
        return false;
    }
    let cosine = (group.tint[0] * hill.tint[0] + group.tint[1] * hill.tint[1]) / (own * other);
    cosine > 0.970 && (0.4..2.2).contains(&(other / own))
}

/// A material without a tint, parted where its lightnesses leave a gap: black leather on white legs.
fn by_light(group: Group, colors: &Plane<[f32; 3]>, bins: &[usize], weight: &[f32]) -> Vec<Group> {
    if group.strength() > GRAY {
        return vec![group];
    }
    let mut heights = Plane::filled(LIGHTS, 1, 0.0);
    for ((color, bin), weight) in colors.data.iter().zip(bins).zip(weight) {
        if group.tints[*bin] {
            heights.data[light_bin(color[0], LIGHTS)] += weight;
        }
    }
    let heights = blur(&heights, 1.2);
    let total = heights.sum().max(1e-9);
    let mut left = heights.data.clone();
    let mut out = Vec::new();
    while out.len() < 4 {
        let (top, height) =
            left.iter().enumerate().fold(
                (0, 0.0),
                |best, (i, h)| if *h > best.1 { (i, *h) } else { best },
            );
        let edge = |h: f32| h > 0.12 * height;
        let low = (0..=top)
            .rev()
            .take_while(|i| edge(left[*i]))
            .last()
            .unwrap_or(top);
        let high = (top..LIGHTS)
            .take_while(|i| edge(left[*i]))
            .last()
            .unwrap_or(top);
        let share = heights.data[low..=high].iter().sum::<f32>() / total;
        if height <= 0.0 || share * group.weight < LEAST {
            break;
        }
        left[low..=high].fill(0.0);
        let lights = (
            (low as f32 - 1.0) / LIGHTS as f32,
            (high as f32 + 2.0) / LIGHTS as f32,
        );
        out.push(Group {
            weight: group.weight * share,
            lights: Some(lights),
            ..group.clone()
        });
    }
    if out.is_empty() { vec![group] } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(colors: &Plane<[f32; 3]>) -> Vec<Group> {
        let count = colors.data.len();
        groups(
            colors,
            &vec![1.0; count],
            &vec![true; count],
            &vec![false; count],
        )
    }

    #[test]
    fn light_and_shadow_are_one_material() {
        let red = |light: f32| [0.6 * light, 0.15 * light, 0.08 * light];
        let colors = Plane::from_fn(60, 60, |x, y| {
            if y < 12 {
                [0.5, -0.1, 0.05]
            } else {
                red(0.4 + 0.01 * x as f32)
            }
        });
        let groups = of(&colors);
        assert_eq!(groups.len(), 2, "{groups:?}");
        assert!(
            groups[0].has(red(0.5))
                && groups[0].has(red(0.95))
                && !groups[0].has([0.5, -0.1, 0.05])
        );
        assert!((groups[0].weight - 0.8).abs() < 0.05);
    }

    #[test]
    fn black_and_white_are_two() {
        let colors = Plane::from_fn(60, 60, |_, y| [if y < 20 { 0.95 } else { 0.2 }, 0.0, 0.0]);
        let groups = of(&colors);
        assert_eq!(groups.len(), 2);
        assert!(groups[0].has([0.2, 0.0, 0.0]) && !groups[0].has([0.95, 0.0, 0.0]));
    }
}
