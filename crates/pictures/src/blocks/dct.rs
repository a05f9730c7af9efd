//! The discrete cosine transform of 8 x 8 samples, there and back, in single precision: what one does the other undoes to a
//! thousandth of a sample, so that coefficients of samples that stay are found again.

/// 8 x 8 values, row by row.
pub(super) type Square = [f32; 64];

/// `BASIS[k][n]` = c(k) / 2 * cos((2n + 1) k pi / 16), c(0) = sqrt(1/2) and 1 otherwise. Written down, so that no machine's
/// cosine has a say in a file.
const BASIS: [[f32; 8]; 8] = {
    const A: f32 = 0.353_553_39;
    const B: f32 = 0.490_392_64;
    const C: f32 = 0.461_939_77;
    const D: f32 = 0.415_734_8;
    const E: f32 = 0.277_785_12;
    const F: f32 = 0.191_341_72;
    const G: f32 = 0.097_545_16;
    [
        [A, A, A, A, A, A, A, A],
        [B, D, E, G, -G, -E, -D, -B],
        [C, F, -F, -C, -C, -F, F, C],
        [D, -G, -B, -E, E, B, G, -D],
        [A, -A, -A, A, A, -A, -A, A],
        [E, -B, G, D, -D, -G, B, -E],
        [F, -C, C, -F, -F, C, -C, F],
        [G, -E, D, -B, B, -D, E, -G],
    ]
};

/// Coefficients of samples.
pub(super) fn forward(samples: &Square) -> Square {
    let rows = times(|k, n| BASIS[k][n], samples);
    transposed(&times(|k, n| BASIS[k][n], &transposed(&rows)))
}

/// Samples of coefficients.
pub(super) fn inverse(coefficients: &Square) -> Square {
    let rows = times(|n, k| BASIS[k][n], coefficients);
    transposed(&times(|n, k| BASIS[k][n], &transposed(&rows)))
}

/// `matrix` times the square.
fn times(matrix: impl Fn(usize, usize) -> f32, square: &Square) -> Square {
    let mut out = [0.0; 64];
    for (row, out) in out.chunks_exact_mut(8).enumerate() {
        for (inner, values) in square.chunks_exact(8).enumerate() {
            let factor = matrix(row, inner);
            for (out, value) in out.iter_mut().zip(values) {
                *out += factor * value;
            }
        }
    }
    out
}

fn transposed(square: &Square) -> Square {
    std::array::from_fn(|i| square[i % 8 * 8 + i / 8])
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_basis_is_the_cosines() {
        for (k, row) in BASIS.iter().enumerate() {
            for (n, value) in row.iter().enumerate() {
                let scale = if k == 0 { 0.5f64.sqrt() } else { 1.0 };
                let exact = scale / 2.0 * ((2 * n + 1) as f64 * k as f64 * PI / 16.0).cos();
                assert!((f64::from(*value) - exact).abs() < 1e-7, "{k} {n}");
            }
        }
    }

    #[test]
    fn a_flat_square_is_its_lowest_frequency() {
        let flat = forward(&[100.0; 64]);
        assert!((flat[0] - 800.0).abs() < 1e-3);
        assert!(flat[1..].iter().all(|value| value.abs() < 1e-3));
    }

    proptest! {
        #[test]
        fn one_undoes_the_other(values in proptest::collection::vec(-128i16..128, 64)) {
            let samples: Square = std::array::from_fn(|i| f32::from(values[i]));
            let again = inverse(&forward(&samples));
            for (one, other) in samples.iter().zip(again) {
                prop_assert!((one - other).abs() < 1e-3);
            }
        }
    }
}
