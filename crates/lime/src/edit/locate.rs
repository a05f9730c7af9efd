//! Stage 1: read features and attention along a guided run, cluster, choose the region.

use std::time::Instant;

use candle_core::Tensor;

use super::{machine::Edit, stage::Stage};
use crate::{
    error::{Error, Result},
    fuse::Fused,
    kmeans,
    lanes::{self, Lane},
    located::Located,
    observer::AttentionObserver,
    preset::{Evidence, Locate},
    roi::{self, Segments},
    timings::milliseconds,
};

pub(super) fn nothing() -> Error {
    Error::Request("this edit has nothing to locate".into())
}

impl Edit {
    /// Tells `observer` what the next step is read for.
    pub(super) fn observe_locate(&self, observer: &mut AttentionObserver) {
        let Some(locate) = self.setup.locate() else {
            return;
        };
        let (step, steps) = (self.run.step() + 1, self.run.steps());
        let reads = locate.reads(step, steps);
        observer.set_lanes(locate.lanes(step, steps));
        observer.features = reads.features.then(|| locate.segments.clone());
        if reads.map {
            self.observe_map(locate, observer);
        }
    }

    /// Tells `observer` which attention the map is made of, where it is made of attention.
    pub(super) fn observe_map(&self, locate: &Locate, observer: &mut AttentionObserver) {
        if locate.map.evidence == Evidence::Attention {
            let positions = self.setup.read(&locate.map).into_iter();
            let positions = positions.map(|position| position as u32).collect();
            observer.map = Some((locate.map.clone(), positions));
        }
    }

    pub(super) fn advance_locate(
        &mut self,
        output: &Tensor,
        observer: AttentionObserver,
    ) -> Result<()> {
        let locate = self.setup.locate().ok_or_else(nothing)?.clone();
        let (step, steps) = (self.run.step() + 1, self.run.steps());
        let reads = locate.reads(step, steps);
        let lanes = observer.lanes;
        self.sums.merge(observer.read)?;
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
        self.choose(&locate, step)
    }

    /// Makes the region of what was read in `steps` steps, and begins the edit.
    pub(super) fn choose(&mut self, locate: &Locate, steps: usize) -> Result<()> {
        let map = self.sums.map_on(
            locate.grid,
            locate.corners,
            locate.map.normalise && locate.map.evidence == Evidence::Attention,
        )?;
        let roi = roi::region(&map, self.located.segments.as_ref(), &locate.select);
        self.located.roi = Some(roi);
        self.located.map = Some(map);
        self.sums = Default::default();
        self.locate_steps_done = steps;
        self.located_to()
    }

    /// Adds |eps_text - eps_image|, mean over channels, to the map.
    fn relevance(&mut self, output: &Tensor, lanes: &[Lane]) -> Result<()> {
        if let (Some(text), Some(image)) = (
            lanes::row(output, lanes, Lane::Text)?,
            lanes::row(output, lanes, Lane::Image)?,
        ) {
            self.difference(&text, &image, 1.0)?;
        }
        Ok(())
    }

    /// Adds `scale` times what two outputs `[1, channels, h, w]` differ by, mean over channels, to the map.
    pub(super) fn difference(&mut self, text: &Tensor, image: &Tensor, scale: f64) -> Result<()> {
        let difference = ((text - image)?.abs()?.mean(1)? * scale)?;
        let (_, height, width) = difference.dims3()?;
        Ok(self.sums.map((height, width), difference)?)
    }

    pub(super) fn cluster(&mut self, locate: &Locate) -> Result<()> {
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
            self.setup.request.locate_seed(),
            settings.starts,
            settings.rounds,
        );
        self.located = Located {
            segments: Some(Segments {
                side: locate.grid,
                clusters: settings.clusters,
                labels: clusters.labels,
            }),
            inertia: Some(clusters.inertia),
            ..self.located.clone()
        };
        self.timings.segment_ms += milliseconds(began);
        Ok(())
    }

    /// Goes on from the region, which is known.
    fn located_to(&mut self) -> Result<()> {
        if self.setup.apply().is_none() {
            self.stage = Stage::Decode;
            return Ok(());
        }
        if self.setup.request.full.is_some() {
            self.run = self.setup.start(Stage::Edit)?;
            self.stage = Stage::Find;
            return Ok(());
        }
        self.begin_apply()
    }

    pub(super) fn begin_apply(&mut self) -> Result<()> {
        self.run = self.setup.start(Stage::Edit)?;
        self.bias = self.setup.bias(self.located.roi.as_ref());
        self.windowed = self.setup.windowed(self.located.roi.as_ref());
        self.stage = Stage::Edit;
        Ok(())
    }
}
