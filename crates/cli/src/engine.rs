//! One edit from request to outcome.

use anyhow::Result;
use limekiln_diffusion::model::Model;
use limekiln_lime::{Edit, Outcome, Preset, Progress, Request};

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

/// A short edit of a grey square: whether the model computes at all.
///
/// # Errors
///
/// What the engine says.
pub(crate) fn probe(model: &Model) -> Result<()> {
    let side = 64.max(4 * model.vae.config().factor() as u32);
    let request = Request {
        image: image::RgbImage::from_pixel(side, side, image::Rgb([128; 3])),
        instruction: "make it red".to_owned(),
        seed: 0,
        preset: Preset::named("base")?.with(&serde_json::json!({"edit": {"steps": 2}}))?,
        mask: None,
        scheduler: None,
    };
    run(model, request, |_| {}).map(drop)
}
