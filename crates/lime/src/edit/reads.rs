//! Which steps of stage 1 are read, and for what.

use crate::{
    lanes::{self, Lane},
    preset::{Evidence, Locate, LocateFrom, Rule},
};

/// What a step (counted from 1) is read for.
pub(super) struct Reads {
    pub(super) features: bool,
    pub(super) map: bool,
    /// Nothing is read after this step, so its own latents are not needed either.
    pub(super) last: bool,
}

impl Locate {
    /// Whether the region is put together from segments.
    pub(crate) fn segmented(&self) -> bool {
        self.select.rule != Rule::Level
    }

    /// U-Net calls of the stage, whose run would have `steps`.
    pub(super) fn calls(&self, steps: usize) -> usize {
        match self.from {
            LocateFrom::Noise => self.last_read(steps),
            LocateFrom::Input => 1,
        }
    }

    /// The last step that is read, of a run of `steps` U-Net calls.
    pub(crate) fn last_read(&self, steps: usize) -> usize {
        let features = if self.segmented() {
            *self.segments.steps.scaled(steps).end()
        } else {
            0
        };
        features.max(*self.map.steps.scaled(steps).end()).min(steps)
    }

    /// The lanes of step `step` (counted from 1) of a run of `steps`.
    pub(super) fn lanes(&self, step: usize, steps: usize) -> Vec<Lane> {
        let reads = self.reads(step, steps);
        let read = reads.lanes(self.map.evidence);
        if reads.last {
            read
        } else {
            lanes::needed(self.scales, &read)
        }
    }

    /// What step `step` (counted from 1) of a run of `steps` is read for.
    pub(super) fn reads(&self, step: usize, steps: usize) -> Reads {
        Reads {
            features: self.segmented() && self.segments.steps.scaled(steps).contains(&step),
            map: self.map.steps.scaled(steps).contains(&step),
            last: step == self.last_read(steps),
        }
    }
}

impl Reads {
    /// The lanes that are read.
    fn lanes(&self, evidence: Evidence) -> Vec<Lane> {
        let mut lanes = Vec::new();
        if self.map {
            lanes.push(Lane::Text);
        }
        if self.features || (self.map && evidence == Evidence::Relevance) {
            lanes.push(Lane::Image);
        }
        lanes
    }
}
