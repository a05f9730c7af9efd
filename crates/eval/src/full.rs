//! A room at its full size: edited at the model's size, finished, and scored beside the true edit.

use std::time::Instant;

use image::{GrayImage, RgbImage};
use limekiln_lime::canvas::{Canvas, Finish, Finishing, Recipe};
use limekiln_lime::{Outcome, Request};
use limekiln_pictures::{Limits, resize};
use limekiln_rooms::SIDE;
use serde::Serialize;

use crate::error::Result;
use crate::fidelity::{Fidelity, Truth};
use crate::row::Row;
use crate::scene::Scene;

/// A room as an editor is given it, and what a perfect edit gives.
#[derive(Debug)]
pub(crate) struct Full {
    canvas: Canvas,
    truth: Truth,
    true_edit: RgbImage,
    /// The object, 0 or 255.
    mask: GrayImage,
}

/// What one finished result of one room scored.
#[derive(Clone, Debug, Serialize)]
pub struct FullScore {
    /// How the model's picture became the result: `none` (enlarged for scoring) or `paste`.
    pub finish: &'static str,
    /// Beside the true edit.
    #[serde(flatten)]
    pub fidelity: Fidelity,
    /// Time that finishing took; the edit's comes on top.
    pub finish_seconds: f64,
}

impl Full {
    /// Draws the scene's room, `size` pixels wide.
    ///
    /// # Errors
    ///
    /// Where a JPEG can't be read back, or nothing of the object is seen.
    pub(crate) fn new(scene: &Scene, size: u32) -> Result<Self> {
        let drawn = scene.room.draw(size);
        let (shots, mask) = (drawn.shots()?, drawn.mask());
        let canvas = match &shots.jpeg {
            Some(bytes) => Canvas::read(bytes, &Limits::FILE)?,
            None => shots.input.into(),
        };
        // As the product reads it.
        let input = canvas.original.on_white();
        Ok(Self {
            canvas,
            truth: Truth::new(input, &shots.truth, &mask, &drawn.colored_mask())?,
            true_edit: shots.truth,
            mask,
        })
    }

    /// The room's picture.
    pub(crate) fn input(&self) -> &RgbImage {
        self.truth.input()
    }

    /// What a perfect edit gives.
    pub(crate) fn true_edit(&self) -> &RgbImage {
        &self.true_edit
    }

    /// The edit that a row asks for: of the picture shrunk to the size that the model knows.
    pub(crate) fn request(&self, scene: &Scene, row: &Row, factor: u32) -> Result<Request> {
        let recipe = Recipe::new(&scene.instruction, scene.index, row.preset.clone())?;
        Ok(self.canvas(row).request(&recipe, SIDE, factor)?)
    }

    fn canvas(&self, row: &Row) -> Canvas {
        let mut canvas = self.canvas.clone();
        canvas.mask = row.true_mask.then(|| self.mask.clone());
        canvas
    }

    /// Finishes an edit and scores what comes of it. What is smaller than the picture is enlarged for scoring.
    pub(crate) fn score(
        &self,
        row: &Row,
        outcome: &Outcome,
        finish: Finish,
    ) -> Result<(FullScore, RgbImage)> {
        let canvas = self.canvas(row);
        let outcome = outcome.clone();
        let start = Instant::now();
        let finishing = Finishing {
            finish,
            by_default: false,
        };
        let finished = canvas.finish(outcome, finishing, Vec::new());
        let finish_seconds = start.elapsed().as_secs_f64();
        let (width, height) = self.mask.dimensions();
        let mut result = finished.result.on_white();
        if result.dimensions() != (width, height) {
            result = resize::lanczos(&result, width, height);
        }
        let score = FullScore {
            finish: name(finish),
            fidelity: self.truth.score(&result, None)?,
            finish_seconds,
        };
        Ok((score, result))
    }
}

/// The word for a finish.
pub(crate) const fn name(finish: Finish) -> &'static str {
    match finish {
        Finish::None => "none",
        Finish::Paste => "paste",
    }
}
