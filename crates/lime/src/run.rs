//! Whole edits on one thread.

use image::{Rgb, RgbImage};
use limekiln_diffusion::model::Model;
use limekiln_diffusion::scheduler::{self, SchedulerKind};

use crate::edit::{Edit, Outcome, Progress, Request};
use crate::error::Result;
use crate::preset::Preset;

/// Runs an edit to its end and tells `observer` how far it is, before the first step and after each.
///
/// # Errors
///
/// As [`Edit::new`], [`Edit::step`] and [`Edit::finish`].
pub fn run(
    model: &Model,
    request: Request,
    mut observer: impl FnMut(&Progress),
) -> Result<Outcome> {
    let mut edit = Edit::new(model, request)?;
    observer(&edit.progress());
    while !edit.is_done() {
        observer(&edit.step(model)?);
    }
    edit.finish(model)
}

/// Makes an edit of a square of about `side_px` pixels, without locating: whether the model computes at all. Whoever edits
/// after it at this size finds kernels compiled and memory mapped.
///
/// # Errors
///
/// As [`run`].
pub fn probe(model: &Model, side_px: u32, steps: usize) -> Result<()> {
    let factor = model.factor() as u32;
    let side = (side_px - side_px % factor).max(factor);
    let mut preset = Preset::base();
    if let Some(edit) = &mut preset.edit {
        edit.steps = steps;
    }
    // Edits name their solver as a rule, so a checkpoint that declares one which is not known here can edit.
    let known = scheduler::build(&model.scheduler, None, steps).is_ok();
    let request = Request {
        image: RgbImage::from_fn(side, side, |x, y| Rgb([x as u8, y as u8, 128])),
        instruction: "make it red".to_owned(),
        seed: 0,
        preset,
        mask: None,
        scheduler: (!known).then_some(SchedulerKind::DpmSolverMultistep),
        full: None,
        beside: false,
    };
    run(model, request, |_| {}).map(drop)
}
