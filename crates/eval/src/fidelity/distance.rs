//! How far pixels are from a mask.

/// The Euclidean distance of every pixel from the nearest for which `inside` is true, in pixels, row by row; infinite where there
/// is none. Exact, by lower envelopes of parabolas (Felzenszwalb and Huttenlocher, 2012).
pub(super) fn distances(inside: &[bool], width: usize, height: usize) -> Vec<f32> {
    let start = |inside: &bool| if *inside { 0.0 } else { f64::INFINITY };
    let mut squares: Vec<f64> = inside.iter().map(start).collect();
    let mut line = vec![0.0; width.max(height)];
    let mut envelope = Envelope::default();
    for x in 0..width {
        for y in 0..height {
            line[y] = squares[y * width + x];
        }
        envelope.fit(&line[..height]);
        for (y, square) in envelope.squares(height).enumerate() {
            squares[y * width + x] = square;
        }
    }
    for row in squares.chunks_mut(width.max(1)) {
        line[..width].copy_from_slice(row);
        envelope.fit(&line[..width]);
        for (value, square) in row.iter_mut().zip(envelope.squares(width)) {
            *value = square;
        }
    }
    squares
        .into_iter()
        .map(|square| square.sqrt() as f32)
        .collect()
}

/// The lowest of the parabolas that stand on a line's finite values: their places and heights, and where each begins to be the
/// lowest.
#[derive(Default)]
struct Envelope {
    parabolas: Vec<(f64, f64, f64)>,
}

impl Envelope {
    fn fit(&mut self, line: &[f64]) {
        self.parabolas.clear();
        for (at, &height) in line
            .iter()
            .enumerate()
            .filter(|(_, height)| height.is_finite())
        {
            let at = at as f64;
            let mut from = f64::NEG_INFINITY;
            while let Some(&(other, low, begins)) = self.parabolas.last() {
                from = ((height + at * at) - (low + other * other)) / (2.0 * (at - other));
                if from > begins {
                    break;
                }
                self.parabolas.pop();
                from = f64::NEG_INFINITY;
            }
            self.parabolas.push((at, height, from));
        }
    }

    fn squares(&self, length: usize) -> impl Iterator<Item = f64> + '_ {
        let mut current = 0;
        (0..length).map(move |x| {
            let x = x as f64;
            while self
                .parabolas
                .get(current + 1)
                .is_some_and(|next| next.2 < x)
            {
                current += 1;
            }
            self.parabolas
                .get(current)
                .map_or(f64::INFINITY, |&(at, height, _)| height + (x - at).powi(2))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_to_the_nearest() {
        let (width, height) = (13, 9);
        let mut state = 7u32;
        for density in [1, 3, 40] {
            let inside: Vec<bool> = (0..width * height)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 8).is_multiple_of(density)
                })
                .collect();
            let found = distances(&inside, width, height);
            for (at, &found) in found.iter().enumerate() {
                let nearest = (0..width * height).filter(|&i| inside[i]).map(|i| {
                    let (dx, dy) = (
                        (i % width).abs_diff(at % width),
                        (i / width).abs_diff(at / width),
                    );
                    ((dx * dx + dy * dy) as f32).sqrt()
                });
                assert_eq!(
                    found,
                    nearest.fold(f32::INFINITY, f32::min),
                    "{at} at {density}"
                );
            }
        }
    }
}
