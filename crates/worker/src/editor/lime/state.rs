//! How far the engine is with an edit, and what of it is done beside the network: encoding, making segments, looking for an object,
//! decoding.

use std::sync::Arc;

use bytes::Bytes;
use limekiln_diffusion::model::Model;
use limekiln_jobs::Failure;
use limekiln_lime::edit::Answer;
use limekiln_lime::{Edit, Known, Outcome, Request, Stage};

use super::failures::{failure, unknown};
use super::loaded::LoadedModel;
use crate::editor::contract::{Beside, Landed, Progress, RunId};

/// What an edit begins with.
pub(super) struct Asking {
    pub(super) run: RunId,
    pub(super) request: Request,
    pub(super) known: Known,
    pub(super) saved: Option<Bytes>,
}

/// How far the engine is with an edit.
pub(super) enum State {
    /// Nothing is encoded yet.
    Asked(Box<Asking>),
    /// Between two steps.
    Edit(Box<Edit>),
    /// The network has answered, and the step is still to be ended.
    Answered(Box<Edit>, Box<Answer>),
    /// It is beside the engine; or a step of it broke off.
    Away,
    /// All is done.
    Decoded(Box<Outcome>),
    /// The engine had nothing to do for it.
    Known(Box<Outcome>),
}

impl State {
    /// What comes next and is no call of the network.
    pub(super) fn beside(&mut self, model: &Arc<LoadedModel>) -> Option<Beside> {
        let model = Arc::clone(model);
        match std::mem::replace(self, Self::Away) {
            Self::Asked(asking) => Some(landing(move || {
                let edit = begun(&model.model, *asking)?;
                Ok(Self::Edit(Box::new(edit)))
            })),
            Self::Answered(mut edit, answer) => Some(landing(move || {
                edit.end(*answer).map_err(failure)?;
                Ok(Self::Edit(edit))
            })),
            Self::Edit(mut edit) if edit.progress().stage == Stage::Find => {
                Some(landing(move || {
                    edit.step(&model.model).map_err(failure)?;
                    Ok(Self::Edit(edit))
                }))
            }
            Self::Edit(edit) if edit.is_done() => Some(landing(move || {
                let outcome = edit.finish(&model.model).map_err(failure)?;
                Ok(Self::Decoded(Box::new(outcome)))
            })),
            other => {
                *self = other;
                None
            }
        }
    }

    /// What [`State::beside`] led to.
    pub(super) fn landed(landed: Landed) -> Result<Self, Failure> {
        let landed = landed.downcast::<Result<Self, Failure>>();
        *landed.map_err(|_| unknown())?
    }
}

fn landing(work: impl FnOnce() -> Result<State, Failure> + Send + 'static) -> Beside {
    Box::new(move || Box::new(work()))
}

/// The edit that is asked for, or the one that was saved.
fn begun(model: &Model, asking: Asking) -> Result<Edit, Failure> {
    let Asking {
        run,
        request,
        known,
        saved,
    } = asking;
    if let Some(saved) = saved {
        match Edit::resume(model, request.clone(), &saved) {
            Ok(Some(edit)) => return Ok(edit.knowing(known)),
            Ok(None) => {
                tracing::info!(%run, "a checkpoint of another version or path: starting over")
            }
            Err(error) => {
                tracing::warn!(%run, %error, "the checkpoint can't be used: starting over");
            }
        }
    }
    Edit::with(model, request, known).map_err(failure)
}

/// Progress over the steps of both stages.
pub(super) fn progress(edit: &Edit) -> Progress {
    let progress = edit.progress();
    Progress {
        stage: match progress.stage {
            Stage::Locate => "locate",
            Stage::Find => "find",
            Stage::Edit => "edit",
            Stage::Decode => "decode",
        },
        step: progress.done as u32,
        steps: progress.total as u32,
    }
}
