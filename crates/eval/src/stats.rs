//! Means with their noise, and curves compared at equal success.

use serde::Serialize;

/// Resamplings of a bootstrap.
const RESAMPLES: usize = 1000;

/// A mean and its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Standard error of the mean; 0 for a single value.
    pub error: f64,
    /// How many values.
    pub count: usize,
}

impl Mean {
    /// `None` where there is no value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let error = (squares / (count.max(2) - 1) as f64 / count as f64).sqrt();
        Some(Self { mean, error, count })
    }
}

/// `statistic` of all `count` scenes, and its standard error by resampling scenes; `None` where it has no value.
/// Resampling is deterministic.
pub(crate) fn bootstrap(count: usize, statistic: impl Fn(&[usize]) -> Option<f64>) -> Option<Mean> {
    let scenes: Vec<usize> = (0..count).collect();
    let mean = statistic(&scenes)?;
    let mut state = 0x6c69_6d65_6b69_6c6e_u64;
    let draws: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let sample: Vec<usize> = (0..count).map(|_| draw(&mut state, count)).collect();
            statistic(&sample)
        })
        .collect();
    let spread = Mean::of(draws)?;
    Some(Mean {
        mean,
        error: spread.error * (spread.count as f64).sqrt(),
        count,
    })
}

/// Uniform in `0..count`, by SplitMix64.
fn draw(state: &mut u64, count: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((u128::from(z ^ (z >> 31)) * count as u128) >> 64) as usize
}

/// A point of a sweep: color success and change outside at one scale.
pub(crate) type Point = (f64, f64);

/// The least change outside at which a curve (points in order of scale) reaches `success`, straight lines between
/// its points; `None` where it never does.
pub(crate) fn outside_at(curve: &[Point], success: f64) -> Option<f64> {
    let reached = curve
        .iter()
        .filter(|point| point.0 >= success)
        .map(|point| point.1);
    let crossed = curve.windows(2).filter_map(|pair| {
        let [(s0, o0), (s1, o1)] = [pair[0], pair[1]];
        let between = (s0.min(s1)..=s0.max(s1)).contains(&success) && s0 != s1;
        between.then(|| o0 + (o1 - o0) * (success - s0) / (s1 - s0))
    });
    reached.chain(crossed).min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_come_with_their_error() {
        let mean = Mean::of([1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(mean.mean, 2.5);
        assert!((mean.error - (5.0_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!(Mean::of([7.0]).unwrap().error, 0.0);
        assert_eq!(Mean::of([]), None);
    }

    #[test]
    fn a_bootstrap_finds_the_error_of_a_mean() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        let mean = |scenes: &[usize]| {
            Some(scenes.iter().map(|&i| values[i]).sum::<f64>() / scenes.len() as f64)
        };
        let (found, known) = (
            bootstrap(100, mean).unwrap(),
            Mean::of(values.iter().copied()).unwrap(),
        );
        assert_eq!(found.mean, known.mean);
        assert!(
            (found.error / known.error - 1.0).abs() < 0.1,
            "{found:?} {known:?}"
        );
    }

    #[test]
    fn curves_are_read_at_equal_success() {
        let curve = [(0.25, 1.0), (0.5, 3.0), (1.0, 9.0)];
        assert_eq!(outside_at(&curve, 0.375), Some(2.0));
        assert_eq!(outside_at(&curve, 0.75), Some(6.0));
        assert_eq!(
            outside_at(&curve, 0.1),
            Some(1.0),
            "the first point is already there"
        );
        assert_eq!(outside_at(&curve[..2], 0.9), None);
        // A curve that turns back is read where it is lowest.
        assert_eq!(
            outside_at(&[(0.0, 4.0), (1.0, 8.0), (0.5, 2.0)], 0.5),
            Some(2.0)
        );
    }
}
