//! What hangs together: parts that are not the object's fall away, and small holes that are its light or shadow are filled.

use super::histogram::tint;
use super::materials::Group;
use crate::plane::{Plane, parts, signed_distance};

/// Cells that a hole may have at most, whatever it shows.
const TINY: usize = 12;

/// Takes parts out of `object` that hardly lie in the region: less than 15 % of them, or less than 0.05 % of it.
pub(super) fn drop_strays(object: &mut Plane<bool>, prior: &[f32], region_cells: usize) {
    for part in parts(object) {
        let inside = part.cells.iter().filter(|cell| prior[**cell] > 0.5).count();
        if inside * 100 < part.cells.len() * 15 || part.cells.len() * 2000 < region_cells {
            part.cells
                .iter()
                .for_each(|cell| object.data[*cell] = false);
        }
    }
}

/// How far apart the two sides of a fold may be for it to be closed, in cells.
const FOLD: f32 = 5.0;

/// Closes folds, and fills holes, of `object` that are a shadow on its material or a highlight. What is dark stays dark
/// whatever paint it is given, so that shadows need little proof.
pub(super) fn fill(
    object: &mut Plane<bool>,
    colors: &Plane<[f32; 3]>,
    prior: &[f32],
    group: &Group,
) {
    let count = object.data.iter().filter(|inside| **inside).count();
    let body = median(
        (0..object.data.len())
            .filter(|i| object.data[*i])
            .map(|i| colors.data[i]),
    );
    let wide = signed_distance(object).map(|d| d > -FOLD - 0.5);
    let closed = signed_distance(&wide).map(|d| d > FOLD + 0.5);
    for (i, inside) in object.data.iter_mut().enumerate() {
        *inside |= closed.data[i] && prior[i] > 0.5 && shadow(colors.data[i], body, group);
    }
    for part in parts(&object.map(|inside| !inside)) {
        if part.at_border {
            continue;
        }
        let color = median(part.cells.iter().map(|cell| colors.data[*cell]));
        let highlight = color[0] > body[0] + 0.05
            && strength(color) < 0.9 * group.strength().max(0.05)
            && part.cells.len() * 160 < count;
        let shadow = shadow(color, body, group) && part.cells.len() * 50 < count;
        if part.cells.len() < TINY || highlight || shadow {
            part.cells.iter().for_each(|cell| object.data[*cell] = true);
        }
    }
}

/// Degrees of hue that a material may turn in the light, and how many more in the dark, where a camera has cut one channel off.
const TURN: (f32, f32) = (16.0, 20.0);

/// Whether a color can be a material's body with less light on it.
fn shadow(color: [f32; 3], body: [f32; 3], group: &Group) -> bool {
    let dark = (1.0 - color[0] / body[0].max(1e-3)).clamp(0.0, 1.0);
    let same_hue =
        hue_apart(color, body) < TURN.0 + TURN.1 * dark && strength(color) > 0.4 * group.strength();
    color[0] < body[0] - 0.03 && (color[0] < 0.18 || same_hue && group.strength() > 0.06)
}

/// Length of a color's tint.
fn strength(color: [f32; 3]) -> f32 {
    let [u, v] = tint(color);
    u.hypot(v)
}

/// Degrees between the hues of two colors in OKLab.
pub(super) fn hue_apart(a: [f32; 3], b: [f32; 3]) -> f32 {
    let apart = (a[2].atan2(a[1]) - b[2].atan2(b[1]))
        .to_degrees()
        .rem_euclid(360.0);
    apart.min(360.0 - apart)
}

/// The median of each number; zeros of nothing.
pub(super) fn median(colors: impl Iterator<Item = [f32; 3]>) -> [f32; 3] {
    let colors: Vec<[f32; 3]> = colors.collect();
    [0, 1, 2].map(|c| {
        let mut values: Vec<f32> = colors.iter().map(|color| color[c]).collect();
        let half = values.len() / 2;
        if values.is_empty() {
            0.0
        } else {
            *values.select_nth_unstable_by(half, f32::total_cmp).1
        }
    })
}
