//! Stage 1: read features and attention along a guided run, cluster, choose the region.

use std::time::Instant;

use candle_core::Tensor;

use super::{Edit, Found, Stage, milliseconds};
use crate::{
    error::{Error, Result},
    fuse::Fused,
    kmeans,
    lanes::{self, Lane},
    preset::{Evidence, Locate, Rule},
    roi::{self, Segments},
    watch::Watch,
};

fn nothing() -> Error {
    Error::Request("this edit has nothing to locate".into())
}

/// What a step (counted from 1) is read for.
struct Reads {
    features: bool,
    map: bool,
    /// Nothing is read after this step, so its own latents are not needed either.
    last: bool,
}

impl Locate {
    fn segmented(&self) -> bool {
        self.select.rule != Rule::Level
    }

    /// The last step that is read, of a run of `steps` U-Net calls.
    fn last(&self, steps: usize) -> usize {
        let features = if self.segmented() {
            *self.segments.steps.scaled(steps).end()
        } else {
            0
        };
        features.max(*self.map.steps.scaled(steps).end()).min(steps)
    }

    fn reads(&self, step: usize, steps: usize) -> Reads {
        Reads {
            features: self.segmented() && self.segments.steps.scaled(steps).contains(&step),
            map: self.map.steps.scaled(steps).contains(&step),
            last: step == self.last(steps),
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

impl Edit {
    pub(super) fn locate_steps(&self) -> usize {
        self.setup
            .locate()
            .map_or(0, |locate| locate.last(self.run.steps()))
    }

    pub(super) fn watch_locate(&self, watch: &mut Watch) {
        let Some(locate) = self.setup.locate() else {
            return;
        };
        let reads = locate.reads(self.run.step() + 1, self.run.steps());
        let read = reads.lanes(locate.map.evidence);
        watch.lanes = if reads.last {
            read
        } else {
            lanes::needed(locate.scales, &read)
        };
        watch.features = reads.features.then(|| locate.segments.clone());
        if reads.map && locate.map.evidence == Evidence::Attention {
            let positions = self.setup.selection(locate.map.tokens).read;
            watch.map = Some((
                locate.map.clone(),
                positions
                    .into_iter()
                    .map(|position| position as u32)
                    .collect(),
            ));
        }
    }

    pub(super) fn advance_locate(&mut self, output: &Tensor, watch: Watch) -> Result<()> {
        let locate = self.setup.locate().ok_or_else(nothing)?.clone();
        let (step, steps) = (self.run.step() + 1, self.run.steps());
        let reads = locate.reads(step, steps);
        let lanes = watch.lanes;
        self.sums.merge(watch.read)?;
        if reads.map && locate.map.evidence == Evidence::Relevance {
            self.relevance(output, &lanes)?;
        }
        let closed = locate.reads(step + 1, steps);
        if reads.features && (!closed.features || reads.last) {
            self.cluster(&locate)?;
        }
        if !reads.last {
            return self
                .run
                .advance(&lanes::combine(output, &lanes, locate.scales)?);
        }
        let map = self.sums.map_on(
            locate.grid,
            locate.corners,
            locate.map.normalise && locate.map.evidence == Evidence::Attention,
        )?;
        let roi = roi::region(&map, self.found.segments.as_ref(), &locate.select);
        self.found.roi = Some(roi);
        self.found.map = Some(map);
        self.sums = Default::default();
        self.located = step;
        self.begin_apply()
    }

    /// Adds |eps_text - eps_image|, mean over channels, to the map.
    fn relevance(&mut self, output: &Tensor, lanes: &[Lane]) -> Result<()> {
        if let (Some(text), Some(image)) = (
            lanes::row(output, lanes, Lane::Text)?,
            lanes::row(output, lanes, Lane::Image)?,
        ) {
            let difference = (text - image)?.abs()?.mean(1)?;
            let (_, height, width) = difference.dims3()?;
            self.sums.map((height, width), difference)?;
        }
        Ok(())
    }

    fn cluster(&mut self, locate: &Locate) -> Result<()> {
        let began = Instant::now();
        let layers = self.sums.take_layers()?;
        if layers.is_empty() {
            return Err(Error::Request(
                "this model has no attention layer that the preset reads features from".into(),
            ));
        }
        let settings = &locate.segments;
        let fused = Fused::new(layers, locate.grid, locate.corners);
        let clusters = kmeans::cluster(
            &fused,
            settings.clusters,
            self.setup.request.seed,
            settings.starts,
            settings.rounds,
        );
        self.found = Found {
            segments: Some(Segments {
                side: locate.grid,
                clusters: settings.clusters,
                labels: clusters.labels,
            }),
            inertia: Some(clusters.inertia),
            ..self.found.clone()
        };
        self.timings.segment_ms += milliseconds(began);
        Ok(())
    }

    fn begin_apply(&mut self) -> Result<()> {
        self.run = self.setup.start(Stage::Edit)?;
        self.bias = super::apply::bias(&self.setup, self.found.roi.as_ref());
        self.stage = Stage::Edit;
        Ok(())
    }
}
