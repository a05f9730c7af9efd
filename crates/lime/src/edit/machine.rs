//! One edit between two steps: how it begins, how it goes on after it was saved, and how far it is.

use std::sync::Arc;
use std::time::Instant;

use candle_core::Tensor;
use limekiln_diffusion::model::Model;
use limekiln_pictures::Mask;
use limekiln_pictures::original::Rgb16Image;

use super::{
    check::Windowed,
    judge::Judged,
    request::Request,
    setup::Setup,
    stage::{Progress, Stage},
};
use crate::{
    bias::Bias,
    error::{Error, Result},
    known::{Kind, Known, Object},
    located::Located,
    preset::LocateFrom,
    sums::Sums,
    timings::{Timings, milliseconds},
    trajectory::{SavedTrajectory, Trajectory},
};

/// One edit between two steps.
pub struct Edit {
    pub(crate) setup: Setup,
    pub(crate) stage: Stage,
    /// The denoising run of the stage that the edit stands in.
    pub(crate) run: Trajectory,
    /// Steps that stage 1 took; 0 until it is over.
    pub(crate) locate_steps_done: usize,
    /// What stage 1 has read and not yet used.
    pub(crate) sums: Sums,
    pub(crate) located: Located,
    /// Made of the region, once it is known.
    pub(crate) bias: Option<Bias>,
    /// Chosen when stage 2 begins, where the preset asks for it and it can be.
    pub(crate) windowed: Option<Windowed>,
    /// What was found in the full-size picture, and which way that led; none where nobody looked yet.
    pub(crate) judged: Option<Judged>,
    /// What was known beforehand.
    pub(crate) reused: Vec<Kind>,
    /// Which edit found the region, where it was for other words.
    pub(crate) region_from: Option<String>,
    /// What the decoder makes of the picture's own latents, where that is known.
    pub(crate) decoded: Option<Arc<Rgb16Image>>,
    /// What an earlier edit found to be recolored.
    pub(crate) object: Option<Object>,
    pub(crate) timings: Timings,
    /// A step has begun to change the edit, and has not ended.
    pub(crate) torn: bool,
}

impl Edit {
    /// Encodes the picture and the instruction.
    ///
    /// # Errors
    ///
    /// When the preset, the picture's or the mask's size or the instruction cannot be used, or the networks fail.
    pub fn new(model: &Model, request: Request) -> Result<Self> {
        Self::with(model, request, Known::default())
    }

    /// The same without computing what is `known`. What does not fit the request is computed.
    ///
    /// # Errors
    ///
    /// As [`Edit::new`].
    pub fn with(model: &Model, request: Request, known: Known) -> Result<Self> {
        let began = Instant::now();
        let latents = known.latents_of(&Setup::picture_shape(model, &request));
        let mut reused = Vec::new();
        reused.extend(latents.is_some().then_some(Kind::Latents));
        let mut setup = Setup::new(model, request, latents)?;
        let mut located = Located {
            roi: setup.mask(),
            ..Located::default()
        };
        let mut region_from = None;
        let mut locates = setup.locate();
        if let Some(locate) = locates {
            if let Some(region) = known.region.filter(|known| known.fits_region(locate)) {
                reused.extend(region.segments.as_ref().map(|_| Kind::Segments));
                reused.extend([Kind::Map, Kind::Region]);
                located = region;
                region_from = known.region_from;
                locates = None;
            } else if let Some(segments) = known.segments.filter(|known| {
                locate.segmented()
                    && locate.from == LocateFrom::Input
                    && known.fits_segments(locate)
            }) {
                reused.push(Kind::Segments);
                located = segments.segmented();
            }
        }
        let stage = if locates.is_some() {
            Stage::Locate
        } else if setup.apply().is_none() {
            Stage::Decode
        } else if setup.request.full.is_some() {
            Stage::Find
        } else {
            Stage::Edit
        };
        setup.encode_texts(model, stage)?;
        let run = setup.start(stage)?;
        let mut edit = Self::at(setup, stage, run, located);
        if stage == Stage::Edit {
            edit.windowed = edit.setup.windowed(edit.located.roi.as_ref());
        }
        edit.reused = reused;
        edit.region_from = region_from;
        edit.decoded = known.decoded;
        edit.object = known.object;
        edit.timings.encode_ms = milliseconds(began);
        Ok(edit)
    }

    /// The same for an edit that was resumed: of what is `known`, only what it has not come to yet is left out.
    #[must_use]
    pub fn knowing(self, known: Known) -> Self {
        Self {
            decoded: known.decoded,
            object: known.object,
            ..self
        }
    }

    /// Standing in a run of `stage`, with nothing read.
    fn at(setup: Setup, stage: Stage, run: Trajectory, located: Located) -> Self {
        let bias = setup.bias(located.roi.as_ref());
        Self {
            setup,
            stage,
            run,
            locate_steps_done: 0,
            sums: Sums::default(),
            located,
            bias,
            windowed: None,
            judged: None,
            reused: Vec::new(),
            region_from: None,
            decoded: None,
            object: None,
            timings: Timings::default(),
            torn: false,
        }
    }

    /// The edit that was saved; its timings, sums, window, and how many steps stage 1 took, are the caller's to set.
    pub(crate) fn restore(
        setup: Setup,
        stage: Stage,
        saved: SavedTrajectory,
        located: Located,
    ) -> Result<Self> {
        if stage == Stage::Locate && setup.locate().is_none() {
            return Err(Error::State(
                "it stands in a stage that this edit lacks".into(),
            ));
        }
        let run = Trajectory::resume(setup.scheduler(stage)?, saved, &setup.device)?;
        Ok(Self::at(setup, stage, run, located))
    }

    /// How far the edit is. The call that checks a window is no step.
    pub fn progress(&self) -> Progress {
        let steps = match self.stage {
            Stage::Locate => self
                .setup
                .locate()
                .map_or(0, |locate| locate.calls(self.run.steps())),
            Stage::Find => 1,
            Stage::Edit => self.run.steps(),
            Stage::Decode if self.denoised() => self.run.steps(),
            Stage::Decode => 0,
        };
        let finds = usize::from(self.setup.request.full.is_some());
        let (before, after) = match self.stage {
            Stage::Locate => (0, finds + self.setup.calls(Stage::Edit)),
            Stage::Find => (self.locate_steps_done, self.setup.calls(Stage::Edit)),
            Stage::Edit | Stage::Decode => (self.locate_steps_done + finds, 0),
        };
        let step = match self.stage {
            Stage::Find => 0,
            Stage::Decode if !self.denoised() => 0,
            _ => self.run.step(),
        };
        Progress {
            stage: self.stage,
            step,
            steps,
            done: before + step,
            total: before + steps + after,
        }
    }

    /// Whether stage 2 has run, of an edit whose steps are done.
    pub(super) fn denoised(&self) -> bool {
        self.setup.apply().is_some() && self.recolored().is_none()
    }

    /// Whether all steps are done.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Decode
    }

    /// The region of interest on the grid that it was located on, once it is known.
    pub fn region(&self) -> Option<&Mask> {
        self.located.roi.as_ref()
    }

    /// The latents that the stage's run comes to, as far as its last step tells; none before one is done.
    pub fn clean(&self) -> Option<&Tensor> {
        self.run.clean()
    }

    /// The latents of the stage's run as the U-Net is shown them, f32 `[1, channels, h, w]`: noise and picture together
    /// have unit variance, whatever the solver.
    ///
    /// # Errors
    ///
    /// When tensors cannot be made.
    pub fn latents(&self) -> Result<Tensor> {
        match self.stage {
            Stage::Decode => Ok(self.run.latents().clone()),
            Stage::Locate | Stage::Find | Stage::Edit => Ok(self.run.input()?.0),
        }
    }
}
