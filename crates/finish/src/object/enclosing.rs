//! A material that lies within another's outline is on it or in it, and the other is the object's main one: a shirt and its
//! print, a frame and its mat, a wall and its windows.

use super::materials::Group;
use crate::plane::Plane;

/// The share of rays, from the cells of what is enclosed up, down, left and right, that meet the enclosing material.
const ENCLOSED: f32 = 0.8;
/// How much of that may be so the other way round.
const BACK: f32 = 0.5;
/// How large the enclosing material is at least, beside what it encloses: piping is not what a cushion is made of.
const LEAST: f32 = 0.4;
/// Materials that are looked at: bits of a mask. The others are small.
const MOST: usize = 16;

/// Puts the material that encloses the first one, if one does, before it. `weight` is how much each cell is the object's.
pub(super) fn first(groups: &mut [Group], colors: &Plane<[f32; 3]>, weight: &[f32]) {
    let count = groups.len().min(MOST);
    if count < 2 {
        return;
    }
    let met = met(&groups[..count], colors, weight);
    let encloses = |outer: usize, inner: usize| {
        let there = met[inner * count + outer];
        groups[outer].weight >= LEAST * groups[inner].weight
            && there >= ENCLOSED
            && met[outer * count + inner] < BACK * there
    };
    if let Some(outer) = (1..count).find(|outer| encloses(*outer, 0)) {
        groups[..=outer].rotate_right(1);
    }
}

/// The cells that are inside, or have some of it above, below and to both sides: a frame, and what it frames.
pub(super) fn filled(inside: &Plane<bool>) -> Vec<bool> {
    let (width, height) = (inside.width, inside.height);
    let mut sides: Vec<u8> = inside
        .data
        .iter()
        .map(|inside| if *inside { 4 } else { 0 })
        .collect();
    let mut ray = |line: &mut dyn Iterator<Item = usize>| {
        let mut seen = 0;
        for cell in line {
            sides[cell] += seen;
            seen |= u8::from(inside.data[cell]);
        }
    };
    along(width, height, &mut ray);
    sides.iter().map(|sides| *sides >= 4).collect()
}

/// Calls with the cells of each row and column, from either end.
fn along(width: usize, height: usize, ray: &mut dyn FnMut(&mut dyn Iterator<Item = usize>)) {
    for y in 0..height {
        let row = y * width..(y + 1) * width;
        ray(&mut row.clone());
        ray(&mut row.rev());
    }
    for x in 0..width {
        let column = (x..width * height).step_by(width);
        ray(&mut column.clone());
        ray(&mut column.rev());
    }
}

/// For each material (row) the share of its cells' rays that meet each other one (column).
fn met(groups: &[Group], colors: &Plane<[f32; 3]>, weight: &[f32]) -> Vec<f32> {
    let (width, height, count) = (colors.width, colors.height, groups.len());
    let of: Vec<Option<usize>> = colors
        .data
        .iter()
        .zip(weight)
        .map(|(color, weight)| {
            (*weight > 0.0)
                .then(|| groups.iter().position(|group| group.has(*color)))
                .flatten()
        })
        .collect();
    let mut met = vec![0_u32; count * count];
    let mut cells = vec![0_u32; count];
    of.iter().flatten().for_each(|group| cells[*group] += 1);
    let mut ray = |line: &mut dyn Iterator<Item = usize>| {
        let mut seen = 0_u32;
        for cell in line {
            if let Some(group) = of[cell] {
                (0..count)
                    .filter(|other| seen & 1 << other != 0)
                    .for_each(|other| met[group * count + other] += 1);
                seen |= 1 << group;
            }
        }
    };
    along(width, height, &mut ray);
    met.iter()
        .enumerate()
        .map(|(i, met)| *met as f32 / (4 * cells[i / count]).max(1) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::materials::groups;
    use super::*;

    const WHITE: [f32; 3] = [0.96, 0.0, 0.01];
    const TEAL: [f32; 3] = [0.6, -0.1, -0.02];

    /// The main material's own color is the one of these.
    fn main_is(color: [f32; 3], of: impl Fn(usize, usize) -> [f32; 3]) -> bool {
        let colors = Plane::from_fn(60, 60, of);
        let count = colors.data.len();
        let (all, none) = (vec![true; count], vec![false; count]);
        let main = &groups(&colors, &vec![1.0; count], &all, &none)[0];
        main.has(color)
    }

    #[test]
    fn a_frame_comes_before_what_it_frames() {
        let frame = |width: usize| {
            move |x: usize, y: usize| {
                let inside = width..60 - width;
                if inside.contains(&x) && inside.contains(&y) {
                    WHITE
                } else {
                    TEAL
                }
            }
        };
        assert!(main_is(TEAL, frame(9)));
        // A hem is not what a cloth is made of.
        assert!(main_is(WHITE, frame(3)));
    }

    #[test]
    fn halves_and_stripes_go_by_their_size() {
        assert!(main_is(WHITE, |x, _| if x < 40 { WHITE } else { TEAL }));
        assert!(main_is(TEAL, |x, _| if x < 20 { WHITE } else { TEAL }));
        let stripes = |x: usize, _| {
            if x % 10 < 6 { WHITE } else { TEAL }
        };
        assert!(main_is(WHITE, stripes));
    }

    #[test]
    fn a_frame_is_filled_and_a_bracket_is_not() {
        let frame = Plane::from_fn(9, 9, |x, y| x == 1 || x == 7 || y == 1 || y == 7);
        assert!(filled(&frame)[4 * 9 + 4] && !filled(&frame)[0]);
        let bracket = Plane::from_fn(9, 9, |x, y| x == 1 || y == 1 || y == 7);
        assert!(!filled(&bracket)[4 * 9 + 4] && filled(&bracket)[4 * 9 + 1]);
    }
}
