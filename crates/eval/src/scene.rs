//! One scene, and one edit of it scored.

use std::time::Instant;

use image::{GrayImage, RgbImage};
use limekiln_diffusion::model::Model;
use limekiln_diffusion::picture;
use limekiln_lime::Request;
use limekiln_lime::canvas::Finish;
use limekiln_lime::report::WindowReport;
use limekiln_rooms::{Color, Room, SIDE, Style, bench_room, score};
use serde::Serialize;

use crate::error::Result;
use crate::full::{Full, FullScore};
use crate::row::Row;

/// A room, what is asked for, and where it may change.
#[derive(Debug)]
pub struct Scene {
    /// Its number; also the seed of the noise.
    pub index: u64,
    /// The room and all that its pictures are drawn from.
    pub(crate) room: Room,
    /// The room as the model sees it where it is drawn at the model's size.
    pub input: RgbImage,
    /// What is asked for.
    pub instruction: String,
    /// The color that is asked for.
    color: Color,
    /// The whole object, 0 or 255.
    pub mask: GrayImage,
    /// Its colored part.
    colored: GrayImage,
    /// The true edit, where light has a part in what colors look like.
    lit: Option<RgbImage>,
}

/// What one edit of one scene scored.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// The room's number.
    pub scene: u64,
    /// Overlap of the region found with the true mask; none where nothing is located.
    pub iou: Option<f64>,
    /// Share of the picture that the object covers.
    pub object_share: f64,
    /// Whether the object has the color asked for.
    pub success: bool,
    /// How far its mean color is from the one asked for: Euclidean distance in RGB.
    pub color_error: f64,
    /// Mean absolute change outside the true mask, of 255.
    pub outside: f64,
    /// Lanes that the U-Net computed, those of a window by its share of the picture.
    pub lanes: f64,
    /// The window that was edited in, where the preset asks for one.
    pub window: Option<WindowReport>,
    /// Time the edit took.
    pub seconds: f64,
    /// At full size, for each finish; empty where rooms are drawn at the model's size.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub full: Vec<FullScore>,
}

/// What one edit of one scene scored, and its pictures.
pub(crate) struct Scored {
    pub(crate) score: Score,
    /// The result of each finish; without any, the model's own.
    pub(crate) results: Vec<RgbImage>,
}

impl Scene {
    /// The bench's room `index` of `seed`; `None` where other objects hide the one it is about, so that there is nothing to
    /// score.
    pub(crate) fn new(style: Style, seed: u64, index: u64) -> Option<Self> {
        let room = bench_room(style, seed, index);
        let drawn = room.draw(SIDE);
        let (mask, colored) = (drawn.mask(), drawn.colored_mask());
        let visible = score::share(&mask) > 0.0 && score::share(&colored) > 0.0;
        Some(Self {
            index,
            input: drawn.before.srgb(),
            instruction: room.pair.instruction.text.clone(),
            color: room.color().filter(|_| visible)?,
            mask,
            colored,
            lit: (style != Style::Plain).then(|| drawn.after.srgb()),
            room,
        })
    }

    /// Edits the scene as `row` says, and scores the result; at full size once for each finish.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub(crate) fn score(
        &self,
        model: &Model,
        row: &Row,
        full: Option<&Full>,
        finishes: &[Finish],
    ) -> Result<Scored> {
        let start = Instant::now();
        let request = match full {
            Some(full) => full.request(self, row, model.factor() as u32)?,
            None => self.request(row),
        };
        let input = request.image.clone();
        let outcome = limekiln_lime::run(model, request, |_| {})?;
        let seconds = start.elapsed().as_secs_f64();
        let located = outcome
            .roi
            .as_ref()
            .filter(|_| row.preset.locate.is_some() && !row.true_mask);
        let mut score = Score {
            scene: self.index,
            iou: located.map(|roi| score::iou(roi, &self.mask)).transpose()?,
            object_share: score::share(&self.mask),
            success: self.success(&outcome.image)?,
            color_error: self.color_error(&outcome.image)?,
            outside: score::change_outside(&input, &outcome.image, &self.mask)?,
            lanes: outcome.report.lanes,
            window: outcome.report.window,
            seconds,
            full: Vec::new(),
        };
        let Some(full) = full else {
            let results = vec![outcome.image];
            return Ok(Scored { score, results });
        };
        let mut results = Vec::new();
        for &finish in finishes {
            let (found, result) = full.score(row, &outcome, finish)?;
            score.full.push(found);
            results.push(result);
        }
        Ok(Scored { score, results })
    }

    fn request(&self, row: &Row) -> Request {
        Request {
            image: self.input.clone(),
            instruction: self.instruction.clone(),
            seed: self.index,
            preset: row.preset.clone(),
            mask: row.true_mask.then(|| self.mask.clone()),
            scheduler: None,
        }
    }

    fn success(&self, edited: &RgbImage) -> Result<bool> {
        Ok(match &self.lit {
            Some(truth) => score::color_success_lit(edited, truth, &self.colored, self.color)?,
            None => score::color_success(edited, &self.colored, self.color)?,
        })
    }

    fn color_error(&self, edited: &RgbImage) -> Result<f64> {
        Ok(match &self.lit {
            Some(truth) => score::color_error_lit(edited, truth, &self.colored)?,
            None => score::color_error(edited, &self.colored, self.color)?,
        })
    }

    /// What encoding and decoding alone change outside the mask.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub(crate) fn floor(&self, model: &Model) -> Result<f64> {
        let decoded = encode_decode(model, &self.input)?;
        Ok(score::change_outside(&self.input, &decoded, &self.mask)?)
    }
}

fn encode_decode(model: &Model, input: &RgbImage) -> limekiln_lime::Result<RgbImage> {
    let pixels = picture::to_tensor(input, &model.device)?.to_dtype(model.dtype)?;
    let latents = model.vae.encode_mode(&pixels)?;
    Ok(picture::from_tensor(&model.vae.decode(&latents)?)?)
}
