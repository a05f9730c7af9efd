//! Distances to a border, exact (Felzenszwalb and Huttenlocher, 2012: lower envelopes of parabolas).

use super::cells::Plane;

/// A distance that stands for "no border anywhere".
const FAR: f32 = 1e10;

/// Cells to the other side: positive inside, negative outside. Where there is no other side, very far.
pub(crate) fn signed_distance(inside: &Plane<bool>) -> Plane<f32> {
    let to_outside = squared(&inside.map(|inside| if inside { FAR } else { 0.0 }));
    let to_inside = squared(&inside.map(|inside| if inside { 0.0 } else { FAR }));
    to_outside.with(&to_inside, |out, into| {
        if out > 0.0 { out.sqrt() } else { -into.sqrt() }
    })
}

fn squared(plane: &Plane<f32>) -> Plane<f32> {
    let (width, height) = (plane.width, plane.height);
    let mut out = plane.clone();
    let mut scratch = Envelope::default();
    let mut line = vec![0.0; width.max(height)];
    for row in out.data.chunks_mut(width) {
        line[..width].copy_from_slice(row);
        scratch.lower(&line[..width], row.iter_mut());
    }
    for x in 0..width {
        for (y, value) in line[..height].iter_mut().enumerate() {
            *value = out.data[y * width + x];
        }
        scratch.lower(&line[..height], out.data[x..].iter_mut().step_by(width));
    }
    out
}

/// Parabolas that make up the lower envelope, and where each begins.
#[derive(Default)]
struct Envelope {
    centers: Vec<usize>,
    begins: Vec<f32>,
}

impl Envelope {
    fn lower<'a>(&mut self, line: &[f32], out: impl Iterator<Item = &'a mut f32>) {
        self.centers.clear();
        self.begins.clear();
        for (i, value) in line.iter().enumerate() {
            if *value >= FAR {
                continue;
            }
            loop {
                let Some(last) = self.centers.last().copied() else {
                    self.centers.push(i);
                    self.begins.push(f32::NEG_INFINITY);
                    break;
                };
                let (p, q) = (last as f32, i as f32);
                let meet = ((value + q * q) - (line[last] + p * p)) / (2.0 * (q - p));
                if self.begins.last().is_some_and(|begins| meet <= *begins) {
                    self.centers.pop();
                    self.begins.pop();
                    continue;
                }
                self.centers.push(i);
                self.begins.push(meet);
                break;
            }
        }
        let mut at = 0;
        for (i, out) in out.enumerate() {
            while self
                .begins
                .get(at + 1)
                .is_some_and(|begins| *begins < i as f32)
            {
                at += 1;
            }
            *out = self.centers.get(at).map_or(FAR, |center| {
                let apart = i as f32 - *center as f32;
                apart * apart + line[*center]
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_by_trying_all() {
        let inside = Plane::from_fn(23, 17, |x, y| {
            (x as i32 - 9).pow(2) + (y as i32 - 8).pow(2) < 30 || (x == 20 && y == 3)
        });
        let distance = signed_distance(&inside);
        for y in 0..17 {
            for x in 0..23 {
                let nearest = (0..17)
                    .flat_map(|v| (0..23).map(move |u| (u, v)))
                    .filter(|(u, v)| inside.at(*u, *v) != inside.at(x, y))
                    .map(|(u, v)| (x.abs_diff(u).pow(2) + y.abs_diff(v).pow(2)) as f32)
                    .fold(f32::MAX, f32::min)
                    .sqrt();
                let sign = if inside.at(x, y) { 1.0 } else { -1.0 };
                assert!((distance.at(x, y) - sign * nearest).abs() < 1e-3, "{x} {y}");
            }
        }
    }

    #[test]
    fn without_another_side() {
        assert!(
            signed_distance(&Plane::filled(4, 3, true))
                .data
                .iter()
                .all(|d| *d > 1e3)
        );
        assert!(
            signed_distance(&Plane::filled(4, 3, false))
                .data
                .iter()
                .all(|d| *d < -1e3)
        );
    }
}
