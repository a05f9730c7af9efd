//! What hangs together: parts that are not the object's fall away, and small holes that are its light or shadow are filled.

use super::materials::Group;
use crate::plane::{Plane, parts};

/// Cells that a hole may have at most, whatever it shows.
const TINY: usize = 12;

/// Takes parts out of `object` that hardly lie in the region: less than 15 % of them, or less than 0.2 % of it.
pub(super) fn drop_strays(object: &mut Plane<bool>, prior: &[f32], region_cells: usize) {
    for part in parts(object) {
        let inside = part.cells.iter().filter(|cell| prior[**cell] > 0.5).count();
        if inside * 100 < part.cells.len() * 15 || part.cells.len() * 500 < region_cells {
            part.cells
                .iter()
                .for_each(|cell| object.data[*cell] = false);
        }
    }
}

/// Fills holes of `object` that are a highlight of its material, or a shadow on it. What is dark stays dark whatever paint it
/// is given, so that shadows need little proof.
pub(super) fn fill(object: &mut Plane<bool>, colors: &Plane<[f32; 3]>, group: &Group) {
    let count = object.data.iter().filter(|inside| **inside).count();
    let middle = median(
        (0..object.data.len())
            .filter(|i| object.data[*i])
            .map(|i| colors.data[i]),
    );
    for part in parts(&object.map(|inside| !inside)) {
        if part.at_border {
            continue;
        }
        let color = median(part.cells.iter().map(|cell| colors.data[*cell]));
        let strength = color[1].hypot(color[2]) / (color[0] + 0.12);
        let same_hue = hue_apart(color, middle) < 16.0 || strength < 0.02;
        let highlight = color[0] > middle[0] + 0.05
            && strength < 0.9 * group.strength().max(0.05)
            && part.cells.len() * 250 < count;
        let shadow = color[0] < middle[0] - 0.03
            && (color[0] < 0.18 || same_hue && group.strength() > 0.06)
            && part.cells.len() * 50 < count;
        if part.cells.len() < TINY || highlight || shadow {
            part.cells.iter().for_each(|cell| object.data[*cell] = true);
        }
    }
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
