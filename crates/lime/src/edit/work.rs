//! How much the U-Net computed for an edit.

use super::{machine::Edit, stage::Stage};
use crate::{
    known::Kind,
    lanes,
    preset::{Locate, LocateFrom},
};

impl Edit {
    /// Lanes that were computed in both stages of an edit that is done, those of a window by its share of the picture.
    pub(super) fn lanes_computed(&self) -> f64 {
        let located = self
            .setup
            .locate()
            .filter(|_| !self.reused.contains(&Kind::Region))
            .map_or(0, |locate| self.lanes_of(locate));
        let Some(edit) = self.setup.apply().filter(|_| self.recolored().is_none()) else {
            return located as f64;
        };
        let lanes = lanes::needed(edit.scales, &[]).len();
        let steps = self.run.step() as f64;
        let calls = match &self.windowed {
            None => steps,
            Some(windowed) => {
                let share = windowed.rect.share(self.setup.latent_size());
                match self.window_now() {
                    // The check, the first step, and those after it.
                    Some(_) => share + 1.0 + (steps - 1.0) * share,
                    None => share + steps,
                }
            }
        };
        located as f64 + lanes as f64 * calls
    }

    /// Lanes of a stage 1 that is over.
    fn lanes_of(&self, locate: &Locate) -> usize {
        match locate.from {
            LocateFrom::Input => self.reading_of(locate).len(),
            LocateFrom::Noise => {
                let steps = self.setup.calls(Stage::Locate);
                let lanes = |step| locate.lanes(step, steps).len();
                (1..=self.locate_steps_done).map(lanes).sum()
            }
        }
    }
}
