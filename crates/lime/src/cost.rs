//! What an edit costs, from its preset alone.

use crate::lanes::{LANES, Lane, needed};
use crate::preset::{Locate, LocateFrom, Preset};

impl Preset {
    /// Rows of the U-Net's batch over both stages: lanes times steps, at most, a window's as if it were the whole picture. A
    /// multistep solver may add a call.
    pub fn rows(&self) -> u64 {
        let locate = self.locate.as_ref().map_or(0, Locate::rows);
        let edit = self.edit.as_ref().map_or(0, |edit| {
            let lanes = needed(edit.scales, &[]).len().min(LANES.len());
            let checks = usize::from(edit.window.is_some());
            (edit.steps + checks) * lanes
        });
        (locate + edit) as u64
    }

    /// Distances that clustering computes at most: those of a start's first centres, and of all pixels in every round.
    pub fn distances(&self) -> u64 {
        self.locate.as_ref().map_or(0, Locate::distances)
    }
}

impl Locate {
    fn rows(&self) -> usize {
        match self.from {
            LocateFrom::Noise => {
                let lanes = needed(self.scales, &[Lane::Text, Lane::Image]).len();
                self.steps.min(self.last_read(self.steps)) * lanes
            }
            LocateFrom::Input => 2 * self.levels.map.len() + self.levels.features.len(),
        }
    }

    fn distances(&self) -> u64 {
        let segments = &self.segments;
        let pixels = (self.grid as u64).pow(2);
        pixels * segments.clusters as u64 * segments.starts as u64 * (segments.rounds as u64 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_cost_what_their_tables_say() {
        let rows = |name| Preset::named(name).unwrap().rows();
        assert_eq!(rows("base"), 300);
        assert_eq!(rows("paper"), 75 * 3 + 100 * 3);
        // One call to locate, of three rows at most; one more step for the window's check.
        assert_eq!(rows("fast"), 3 + (20 + 1) * 3);
        assert_eq!((rows("recolor"), rows("auto")), (3, rows("fast")));
        let guided = include_str!("../tests/presets/fast-guided.json");
        let guided: Preset = serde_json::from_str(guided).unwrap();
        assert_eq!(guided.rows(), 5 * 3 + 20 * 3);
        assert_eq!(Preset::base().distances(), 0);
        assert_eq!(Preset::paper().distances(), 256 * 256 * 8 * 4 * 101);
        let mut alone = Preset::base();
        alone.edit.as_mut().unwrap().scales.text = 1.0;
        assert_eq!(alone.rows(), 100, "the text lane alone");
    }
}
