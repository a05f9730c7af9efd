//! Connected parts of a plane.

use super::cells::Plane;

/// Cells that hang together by their sides.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Indices of the part's cells in the plane, row by row.
    pub(crate) cells: Vec<usize>,
    /// Whether one of them is at the border.
    pub(crate) at_border: bool,
}

/// The connected parts of what is `true`.
pub(crate) fn parts(plane: &Plane<bool>) -> Vec<Part> {
    let (width, height) = (plane.width, plane.height);
    let mut seen = vec![false; plane.data.len()];
    let mut out = Vec::new();
    for start in 0..plane.data.len() {
        if seen[start] || !plane.data[start] {
            continue;
        }
        seen[start] = true;
        let mut part = Part {
            cells: vec![start],
            at_border: false,
        };
        let mut next = 0;
        while let Some(cell) = part.cells.get(next).copied() {
            next += 1;
            let (x, y) = (cell % width, cell / width);
            part.at_border |= x == 0 || y == 0 || x + 1 == width || y + 1 == height;
            let sides = [
                (x > 0).then(|| cell - 1),
                (x + 1 < width).then_some(cell + 1),
                (y > 0).then(|| cell - width),
                (y + 1 < height).then_some(cell + width),
            ];
            for side in sides.into_iter().flatten() {
                if plane.data[side] && !seen[side] {
                    seen[side] = true;
                    part.cells.push(side);
                }
            }
        }
        out.push(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_islands() {
        let plane = Plane::from_fn(7, 5, |x, y| {
            (x < 2 && y < 2) || (x == 4 && (1..4).contains(&y))
        });
        let parts = parts(&plane);
        let found: Vec<(usize, bool)> = parts
            .iter()
            .map(|part| (part.cells.len(), part.at_border))
            .collect();
        assert_eq!(found, [(4, true), (3, false)]);
    }
}
