//! A room at its full size: edited at the model's size, finished, and scored beside the true edit.

use std::time::Instant;

use image::{GrayImage, RgbImage, imageops};
use limekiln_finish::{Color, Error as FinishError};
use limekiln_lime::canvas::{
    Canvas, Carry, CarryWay, Error as CanvasError, Finish, Finishing, Recipe,
};
use limekiln_lime::found::{Paint, UserMask};
use limekiln_lime::{Known, Outcome};
use limekiln_pictures::{Limits, resize};
use limekiln_rooms::Task;
use serde::Serialize;

use crate::error::Result;
use crate::fidelity::{Fidelity, Truth};
use crate::row::{Given, Row};
use crate::scene::Scene;

/// A room as an editor is given it, and what a perfect edit gives.
#[derive(Debug)]
pub(crate) struct Full {
    canvas: Canvas,
    truth: Truth,
    true_edit: RgbImage,
    /// The object, 0 or 255.
    mask: GrayImage,
    /// A rough region of it.
    rough: GrayImage,
    /// ΔE00 of the true edit's own flat part to its color, median and 95th percentile: light and grain vary it, too.
    perfect: Option<(f64, f64)>,
}

/// What one finished result of one room scored.
#[derive(Clone, Debug, Serialize)]
pub struct FullScore {
    /// How the model's picture became the result: `none` (enlarged for scoring), `paste` or `recolor`.
    pub finish: &'static str,
    /// Beside the true edit.
    #[serde(flatten)]
    pub fidelity: Fidelity,
    /// ΔE00 of the flat part to the color that was given, median and 95th percentile; none where none was given.
    pub to_color: Option<(f64, f64)>,
    /// The same of the true edit to its own color.
    pub perfect: Option<(f64, f64)>,
    /// Which way the finish `detail` took.
    pub way: Option<CarryWay>,
    /// How sure the object was; none where it was not looked for, 0 where it was not found.
    pub sure: Option<f64>,
    /// Whether it was recolored.
    pub recolored: bool,
    /// Time that finishing took; the edit's comes on top.
    pub finish_seconds: f64,
}

/// What a row asks for of a room.
pub(crate) struct Asked {
    pub(crate) canvas: Canvas,
    pub(crate) recipe: Recipe,
    paint: Option<Paint>,
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
        // Where something goes or comes, all of its place counts.
        let colored = match scene.room.pair.task {
            Task::Recolor | Task::Two => drawn.colored_mask(),
            Task::Remove | Task::Add | Task::Replace => mask.clone(),
        };
        let canvas = match &shots.jpeg {
            Some(bytes) => Canvas::read(bytes, &Limits::FILE)?,
            None => shots.input.into(),
        };
        // As the product reads it.
        let input = canvas.original.on_white();
        let truth = Truth::new(input, &shots.truth, &mask, &colored)?;
        Ok(Self {
            canvas,
            perfect: truth
                .color()
                .and_then(|color| truth.apart(&shots.truth, color)),
            truth,
            true_edit: shots.truth,
            rough: rough(&mask),
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

    /// What a row asks for.
    pub(crate) fn asked(&self, scene: &Scene, row: &Row, finishes: &[Finish]) -> Result<Asked> {
        let detailed = finishes.contains(&Finish::Detail);
        let truth = self.truth.color();
        asked(
            self.canvas.clone(),
            (&self.mask, &self.rough),
            truth,
            scene,
            (row, detailed),
        )
    }

    /// Finishes an edit and scores what comes of it. What is smaller than the picture is enlarged for scoring.
    pub(crate) fn score(
        &self,
        asked: &Asked,
        row: &Row,
        outcome: &Outcome,
        finish: Finish,
    ) -> Result<(FullScore, RgbImage)> {
        let way = outcome.report.way.and_then(|way| way.sure);
        let start = Instant::now();
        let finished = finished(asked, outcome.clone(), finish)?;
        let finish_seconds = start.elapsed().as_secs_f64();
        let (width, height) = self.mask.dimensions();
        let mut result = finished.result;
        if result.dimensions() != (width, height) {
            result = resize::lanczos(&result, width, height);
        }
        let color = asked.paint.as_ref().filter(|_| row.color.is_some());
        let score = FullScore {
            finish: match row.preset.edit {
                Some(_) => name(finish),
                None => name(Finish::Recolor),
            },
            fidelity: self.truth.score(&result, finished.matte.as_ref())?,
            to_color: color.and_then(|paint| self.truth.apart(&result, paint.color)),
            perfect: color.and(self.perfect),
            way: finished.way,
            sure: finished.sure.or(way),
            recolored: finished.sure.is_some_and(|sure| sure > 0.0),
            finish_seconds,
        };
        Ok((score, result))
    }
}

/// What a row asks for of a picture whose object has this mask and this rough region. `truth` is the true edit's color.
/// `detailed`: whether it is made for the finish `detail`, too.
pub(crate) fn asked(
    mut canvas: Canvas,
    (mask, rough): (&GrayImage, &GrayImage),
    truth: Option<Color>,
    scene: &Scene,
    (row, detailed): (&Row, bool),
) -> Result<Asked> {
    let given = match (row.true_mask, row.rough) {
        (_, true) => Some(rough),
        (true, false) => Some(mask),
        (false, false) => None,
    };
    canvas.mask = given.map(|pixels| UserMask {
        pixels: pixels.clone().into(),
        rough: row.rough && row.preset.recolor.is_some(),
    });
    let color = match &row.color {
        Some(Given::Truth) => truth.map(|color| color.to_string()),
        Some(Given::Value(value)) => Some(value.clone()),
        None => None,
    };
    let preset = scene.preset(row);
    let recolors = color.filter(|_| row.locates() || given.is_some() || preset.recolor.is_some());
    let paint =
        limekiln_lime::canvas::paint(&preset, &scene.instruction, recolors.as_deref(), None)?;
    let recipe = Recipe::new(&scene.instruction, scene.index, preset)?
        .painted(paint.clone())
        .detailed(detailed);
    Ok(Asked {
        canvas,
        recipe,
        paint,
    })
}

/// A finished picture in sRGB.
pub(crate) struct Result8 {
    pub(crate) result: RgbImage,
    matte: Option<GrayImage>,
    /// Of what was recolored; 0 where nothing was found.
    sure: Option<f64>,
    way: Option<CarryWay>,
    /// What was computed of the picture that was not known before.
    pub(crate) made: Known,
}

/// Finishes an outcome. Where nothing is found to recolor, the result is the input: it is scored as what it is worth.
pub(crate) fn finished(asked: &Asked, outcome: Outcome, finish: Finish) -> Result<Result8> {
    let finishing = Finishing {
        finish,
        by_default: false,
        carry: Carry::Auto,
        paint: asked.paint.clone(),
    };
    let canvas = asked.canvas.clone();
    match canvas.finish(outcome, finishing, Vec::new(), &|| Ok(())) {
        Ok(finished) => Ok(Result8 {
            result: finished.result.on_white(),
            matte: finished.matte,
            way: finished.report.carry.map(|carry| carry.way),
            sure: (finished.report.finish == Finish::Recolor)
                .then(|| finished.report.recolor.map(|recolor| recolor.sure))
                .flatten(),
            made: finished.made,
        }),
        Err(CanvasError::Finish(FinishError::NothingFound | FinishError::RegionEmpty)) => {
            Ok(Result8 {
                result: asked.canvas.original.on_white(),
                matte: None,
                way: None,
                sure: Some(0.0),
                made: Known::default(),
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// A region as a location may give it: the mask, blurred and shifted by a twentieth of the object's size.
pub(crate) fn rough(mask: &GrayImage) -> GrayImage {
    let count = mask.iter().filter(|value| **value >= 128).count();
    let by = ((count as f64).sqrt() / 20.0).max(1.0);
    let blurred = imageops::blur(mask, by as f32);
    let by = by.round() as u32;
    GrayImage::from_fn(mask.width(), mask.height(), |x, y| {
        let at = |value: u32, end: u32| value.saturating_add(by).min(end - 1);
        let value = blurred
            .get_pixel(at(x, mask.width()), y.saturating_sub(by))
            .0[0];
        image::Luma([if value >= 128 { 255 } else { 0 }])
    })
}

/// The word for a finish.
pub(crate) const fn name(finish: Finish) -> &'static str {
    match finish {
        Finish::None => "none",
        Finish::Paste => "paste",
        Finish::Detail => "detail",
        Finish::Recolor => "recolor",
    }
}
