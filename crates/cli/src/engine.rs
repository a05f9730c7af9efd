//! One edit from request to outcome.

use anyhow::Result;
use limekiln_diffusion::model::Model;
use limekiln_lime::{Edit, Outcome, Progress, Request};

/// Runs an edit to its end and tells `watch` how far it is.
///
/// # Errors
///
/// What the engine says.
pub(crate) fn run(
    model: &Model,
    request: Request,
    mut watch: impl FnMut(&Progress),
) -> Result<Outcome> {
    let mut edit = Edit::new(model, request)?;
    watch(&edit.progress());
    while !edit.is_done() {
        watch(&edit.step(model)?);
    }
    Ok(edit.finish(model)?)
}
