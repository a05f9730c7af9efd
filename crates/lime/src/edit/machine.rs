//! One edit between two steps: how it begins, how it goes on after it was saved, and how far it is.

use std::time::Instant;

use candle_core::Tensor;
use limekiln_diffusion::model::Model;
use limekiln_pictures::Mask;

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
    roi::{Map, Segments},
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
    pub(crate) timings: Timings,
}

/// What stage 1 has found so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Located {
    pub(crate) segments: Option<Segments>,
    /// Of the clustering behind the segments.
    pub(crate) inertia: Option<f64>,
    pub(crate) map: Option<Map>,
    /// The region of interest. The user's mask, where there is one.
    pub(crate) roi: Option<Mask>,
}

impl Edit {
    /// Encodes the picture and the instruction.
    ///
    /// # Errors
    ///
    /// When the preset, the picture's or the mask's size or the instruction cannot be used, or the networks fail.
    pub fn new(model: &Model, request: Request) -> Result<Self> {
        let began = Instant::now();
        let setup = Setup::new(model, request, None)?;
        let stage = if setup.locate().is_some() {
            Stage::Locate
        } else if setup.apply().is_none() {
            Stage::Decode
        } else if setup.request.full.is_some() {
            Stage::Find
        } else {
            Stage::Edit
        };
        let located = Located {
            roi: setup.mask(),
            ..Located::default()
        };
        let run = setup.start(stage)?;
        let mut edit = Self::at(setup, stage, run, located);
        if stage == Stage::Edit {
            edit.windowed = edit.setup.windowed(edit.located.roi.as_ref());
        }
        edit.timings.encode_ms = milliseconds(began);
        Ok(edit)
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
            timings: Timings::default(),
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
