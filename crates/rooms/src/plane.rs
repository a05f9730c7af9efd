//! One value a pixel: coverage, shadows, heights.

use tiny_skia::{FillRule, Mask, Path, Transform};

/// A square of `side` x `side` values, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) side: usize,
    pub(crate) values: Vec<f32>,
}

impl Plane {
    pub(crate) fn new(side: usize) -> Self {
        Self {
            side,
            values: vec![0.0; side * side],
        }
    }

    /// The value at a place in fractions of the side, between pixels by straight lines; the border's beyond it.
    pub(crate) fn at(&self, x: f32, y: f32) -> f32 {
        let last = self.side.saturating_sub(1) as f32;
        let (x, y) = (
            (x * self.side as f32 - 0.5).clamp(0.0, last),
            (y * self.side as f32 - 0.5).clamp(0.0, last),
        );
        let (left, top) = (x as usize, y as usize);
        let (right, low) = ((left + 1).min(self.side - 1), (top + 1).min(self.side - 1));
        let (u, v) = (x - left as f32, y - top as f32);
        let value = |x: usize, y: usize| self.values[y * self.side + x];
        let upper = value(left, top) * (1.0 - u) + value(right, top) * u;
        let lower = value(left, low) * (1.0 - u) + value(right, low) * u;
        upper * (1.0 - v) + lower * v
    }

    /// Three box filters each way: a Gaussian of about `sigma` pixels. Beyond the border its value goes on.
    pub(crate) fn blur(&mut self, sigma: f32) {
        let radius = (sigma * 1.0).round() as usize;
        if radius == 0 {
            return;
        }
        let mut line = vec![0.0; self.side];
        for _ in 0..3 {
            for row in self.values.chunks_mut(self.side) {
                line.copy_from_slice(row);
                box_filter(&line, radius, |i, value| row[i] = value);
            }
            for x in 0..self.side {
                for (y, value) in line.iter_mut().enumerate() {
                    *value = self.values[y * self.side + x];
                }
                let side = self.side;
                box_filter(&line, radius, |y, value| self.values[y * side + x] = value);
            }
        }
    }
}

/// The mean of the `2 * radius + 1` values around each.
fn box_filter(line: &[f32], radius: usize, mut put: impl FnMut(usize, f32)) {
    let last = line.len() - 1;
    let at = |i: isize| f64::from(line[i.clamp(0, last as isize) as usize]);
    let r = radius as isize;
    let mut sum: f64 = (-r..=r).map(at).sum();
    for i in 0..line.len() {
        put(i, (sum / (2 * radius + 1) as f64) as f32);
        sum += at(i as isize + r + 1) - at(i as isize - r);
    }
}

/// The share of each pixel that a filled path covers, within the path's box.
pub(crate) struct Cover {
    left: usize,
    top: usize,
    width: usize,
    mask: Option<Mask>,
}

impl Cover {
    /// `path`, in fractions of the side and moved by `shift`, in a picture of `side` pixels a side.
    pub(crate) fn of(path: &Path, side: usize, shift: (f32, f32)) -> Self {
        let scale = side as f32;
        let bounds = path.bounds();
        let low = |value: f32| ((value * scale).floor() as isize - 1).clamp(0, side as isize);
        let high = |value: f32| ((value * scale).ceil() as isize + 1).clamp(0, side as isize);
        let (left, top) = (low(bounds.left() + shift.0), low(bounds.top() + shift.1));
        let width = high(bounds.right() + shift.0) - left;
        let height = high(bounds.bottom() + shift.1) - top;
        let mut mask = Mask::new(width.max(0) as u32, height.max(0) as u32);
        if let Some(mask) = &mut mask {
            let place = Transform::from_scale(scale, scale)
                .post_translate(shift.0 * scale - left as f32, shift.1 * scale - top as f32);
            mask.fill_path(path, FillRule::Winding, true, place);
        }
        Self {
            left: left as usize,
            top: top as usize,
            width: width.max(1) as usize,
            mask,
        }
    }

    /// Every pixel that is covered: across, down, and the share.
    pub(crate) fn pixels(&self) -> impl Iterator<Item = (usize, usize, f32)> + '_ {
        let data = self.mask.as_ref().map_or(&[][..], |mask| mask.data());
        data.iter()
            .enumerate()
            .filter(|(_, share)| **share > 0)
            .map(|(i, share)| {
                let (x, y) = (self.left + i % self.width, self.top + i / self.width);
                (x, y, f32::from(*share) / 255.0)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiny_skia::{PathBuilder, Rect};

    #[test]
    fn coverage_is_where_the_path_is() {
        let path = PathBuilder::from_rect(Rect::from_ltrb(0.25, 0.5, 0.5, 0.75).unwrap());
        let found: Vec<_> = Cover::of(&path, 8, (0.125, 0.0)).pixels().collect();
        assert_eq!(found, [(3, 4, 1.0), (4, 4, 1.0), (3, 5, 1.0), (4, 5, 1.0)]);
        assert_eq!(Cover::of(&path, 8, (2.0, 0.0)).pixels().count(), 0);
    }

    #[test]
    fn blurring_keeps_the_sum_and_spreads_it() {
        let mut plane = Plane::new(64);
        plane.values[32 * 64 + 32] = 1.0;
        plane.blur(3.0);
        let sum: f32 = plane.values.iter().sum();
        let spread: f32 = (0..64 * 64)
            .map(|i| plane.values[i] * ((i % 64) as f32 - 32.0).powi(2))
            .sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
        assert!((spread.sqrt() - 3.0).abs() < 0.6, "{spread}");
        assert!((plane.at(32.5 / 64.0, 32.5 / 64.0) - plane.values[32 * 64 + 32]).abs() < 1e-6);
    }
}
