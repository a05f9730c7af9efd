//! Bilinear resizing along one axis, as torch's `interpolate` weighs it.

use crate::preset::Corners;

/// For every output index the two inputs it lies between and the share of the second.
#[derive(Clone, Debug)]
pub struct Axis {
    taps: Vec<Tap>,
    input: usize,
}

/// One output sample: `(1 - share) * low + share * high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tap {
    /// Index of the first input.
    pub low: usize,
    /// Index of the second input; equal to the first at an edge.
    pub high: usize,
    /// Share of the second input, 0 to 1.
    pub share: f32,
}

impl Axis {
    /// From `input` samples to `output` samples; both at least 1.
    pub fn new(input: usize, output: usize, corners: Corners) -> Self {
        let last = input.saturating_sub(1);
        let position = |index: usize| match corners {
            Corners::HalfPixel => {
                ((index as f64 + 0.5) * input as f64 / output as f64 - 0.5).max(0.0)
            }
            Corners::Aligned if output == 1 => 0.0,
            Corners::Aligned => (index * last) as f64 / (output - 1) as f64,
        };
        let tap = |index| {
            let at = position(index);
            let low = (at.floor() as usize).min(last);
            let high = (low + 1).min(last);
            Tap {
                low,
                high,
                share: if high == low {
                    0.0
                } else {
                    (at - low as f64) as f32
                },
            }
        };
        Self {
            taps: (0..output).map(tap).collect(),
            input,
        }
    }

    /// One tap per output index.
    pub fn taps(&self) -> &[Tap] {
        &self.taps
    }

    /// For every input index the output indices it reaches and its weight there: the rows of the adjoint.
    pub fn reach(&self) -> Vec<Vec<(usize, f32)>> {
        let mut reach = vec![Vec::new(); self.input];
        for (output, tap) in self.taps.iter().enumerate() {
            reach[tap.low].push((output, 1.0 - tap.share));
            if tap.share != 0.0 {
                reach[tap.high].push((output, tap.share));
            }
        }
        reach
    }
}

/// `map` (`height * width`, row-major) enlarged to `side * side`.
pub fn upsample(
    map: &[f32],
    height: usize,
    width: usize,
    side: usize,
    corners: Corners,
) -> Vec<f32> {
    let rows = Axis::new(height, side, corners);
    let columns = Axis::new(width, side, corners);
    let mut out = Vec::with_capacity(side * side);
    for row in rows.taps() {
        let (low, high) = (
            &map[row.low * width..][..width],
            &map[row.high * width..][..width],
        );
        let blend = |x: usize| (1.0 - row.share) * low[x] + row.share * high[x];
        out.extend(
            columns
                .taps()
                .iter()
                .map(|tap| (1.0 - tap.share) * blend(tap.low) + tap.share * blend(tap.high)),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn weights_are_torchs() {
        // torch.nn.functional.interpolate(torch.tensor([[[0., 1., 2.]]]), size=6, mode="linear", align_corners=...)
        let line = [0.0, 1.0, 2.0];
        let resized = |corners| upsample(&line, 1, 3, 6, corners)[..6].to_vec();
        assert_eq!(
            resized(Corners::HalfPixel),
            [0.0, 0.25, 0.75, 1.25, 1.75, 2.0]
        );
        let aligned = [0.0, 0.4, 0.8, 1.2, 1.6, 2.0];
        assert!(
            resized(Corners::Aligned)
                .iter()
                .zip(aligned)
                .all(|(a, b)| (a - b).abs() < 1e-6)
        );
    }

    proptest! {
        #[test]
        fn every_output_is_a_mean_of_its_inputs(input in 1usize..40, output in 1usize..80, aligned: bool) {
            let corners = if aligned { Corners::Aligned } else { Corners::HalfPixel };
            let axis = Axis::new(input, output, corners);
            for tap in axis.taps() {
                prop_assert!(tap.low < input && tap.high < input && (0.0..1.0).contains(&tap.share), "{tap:?}");
            }
            let mut sums = vec![0.0; output];
            for (index, weight) in axis.reach().into_iter().flatten() {
                sums[index] += weight;
            }
            prop_assert!(sums.iter().all(|sum: &f32| (sum - 1.0).abs() < 1e-6));
        }
    }
}
