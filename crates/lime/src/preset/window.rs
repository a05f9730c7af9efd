//! Steps of a run, counted from 1, whatever its length.

use serde::{Deserialize, Serialize};

/// Steps `first` to `last` (1-based, both included) of a run of `of` steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The first step, counted from 1.
    pub first: usize,
    /// The last step, which belongs to the window.
    pub last: usize,
    /// Steps of the run that the two were written for.
    pub of: usize,
}

impl Window {
    /// The same share of a run of `steps`: each end becomes `max(1, floor(end * steps / of + 0.5))`.
    pub fn scaled(self, steps: usize) -> std::ops::RangeInclusive<usize> {
        let at = |end: usize| ((2 * end * steps + self.of) / (2 * self.of)).max(1);
        at(self.first)..=at(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_scale_with_the_steps() {
        let features = Window {
            first: 30,
            last: 50,
            of: 100,
        };
        assert_eq!(features.scaled(100), 30..=50);
        assert_eq!(features.scaled(30), 9..=15);
        assert_eq!(features.scaled(10), 3..=5);
        assert_eq!(features.scaled(1), 1..=1);
        let official = Window {
            first: 11,
            last: 11,
            of: 30,
        };
        assert_eq!(official.scaled(30), 11..=11);
        assert_eq!(official.scaled(20), 7..=7);
        assert_eq!(
            Window {
                first: 1,
                last: 27,
                of: 30
            }
            .scaled(10),
            1..=9
        );
    }
}
