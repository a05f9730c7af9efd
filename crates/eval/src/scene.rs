//! One scene, and one edit of it scored.

use std::time::Instant;

use image::{GrayImage, RgbImage};
use limekiln_diffusion::model::Model;
use limekiln_diffusion::picture;
use limekiln_lime::Preset;
use limekiln_lime::canvas::Finish;
use limekiln_lime::report::WindowReport;
use limekiln_pictures::resize;
use limekiln_rooms::{Color, Object, Part, Room, SIDE, Style, Task, bench_room_of, mask, score};
use serde::Serialize;

use crate::error::Result;
use crate::full::{self, Full, FullScore};
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
    /// The words of the instruction that name the object.
    object_words: Vec<String>,
    /// The color that is asked for; none where something only goes.
    color: Option<Color>,
    /// The whole object, 0 or 255.
    pub mask: GrayImage,
    /// Its colored part; all of it where no color is asked for.
    colored: GrayImage,
    /// The true edit, where light has a part in what colors look like, or no color is asked for.
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
    /// Whether the object has the color asked for; where it is only to go, whether its place is nearer to the true edit's mean color than to
    /// the input's.
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
    pub(crate) fn new((style, task): (Style, Task), seed: u64, index: u64) -> Option<Self> {
        let room = bench_room_of(style, task, seed, index);
        let drawn = room.draw(SIDE);
        let (mask, color) = (drawn.mask(), room.color());
        let colored = match color {
            Some(_) => drawn.colored_mask(),
            None => mask.clone(),
        };
        if score::share(&mask) == 0.0 || score::share(&colored) == 0.0 {
            return None;
        }
        let names_color =
            |word: &String| word == "grey" || Color::ALL.iter().any(|color| color.name() == word);
        let content = room.pair.instruction.content.iter();
        Some(Self {
            index,
            input: drawn.before.srgb(),
            instruction: room.pair.instruction.text.clone(),
            object_words: content.filter(|word| !names_color(word)).cloned().collect(),
            color,
            mask,
            colored,
            lit: (style != Style::Plain || color.is_none()).then(|| drawn.after.srgb()),
            room,
        })
    }

    /// The room with another color of the largest object that the instruction is not about; none where no other is seen.
    pub(crate) fn recolored(&self) -> Option<RgbImage> {
        let before = &self.room.pair.before;
        let target = self.room.pair.targets.first()?.object;
        let seen = |object: Object| score::share(&mask(before, object, Part::Colored, SIDE));
        let others = before.items.iter().enumerate();
        let others = others.filter(|(_, item)| item.object != target);
        let shares = others.map(|(at, item)| (at, seen(item.object)));
        let (at, _) = shares
            .filter(|(_, share)| *share > 0.0)
            .max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        let mut room = self.room.clone();
        let item = room.pair.before.items.get_mut(at)?;
        // Far from its own in the palette.
        let own = Color::ALL.iter().position(|color| *color == item.color)?;
        item.color = Color::ALL[(own + Color::ALL.len() / 2) % Color::ALL.len()];
        Some(room.draw(SIDE).before.srgb())
    }

    /// The preset of `row` for this scene.
    pub(crate) fn preset(&self, row: &Row) -> Preset {
        let mut preset = row.preset.clone();
        if let Some(locate) = preset.locate.as_mut().filter(|_| row.object_words) {
            locate.map.words = self.object_words.clone();
        }
        preset
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
        let asked = match full {
            Some(full) => full.asked(self, row, finishes)?,
            None => {
                let canvas = self.input.clone().into();
                let masks = (&self.mask, &full::rough(&self.mask));
                full::asked(canvas, masks, None, self, (row, false))?
            }
        };
        let start = Instant::now();
        let (input, outcome) = match asked.canvas.without_model(&asked.recipe) {
            Some(outcome) => (self.input.clone(), outcome),
            None => {
                let factor = model.factor() as u32;
                let request = asked.canvas.request(&asked.recipe, SIDE, factor)?;
                let input = request.image.clone();
                (input, limekiln_lime::run(model, request, |_| {})?)
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        // At the model's size.
        let made = match &outcome.decoded {
            Some(decoded) => decoded.image.clone(),
            None => {
                let finished = full::finished(&asked, outcome.clone(), Finish::Recolor)?;
                resize::lanczos(&finished.result, input.width(), input.height())
            }
        };
        let located = outcome.roi.as_ref().filter(|_| row.locates());
        let mut score = Score {
            scene: self.index,
            iou: located.map(|roi| score::iou(roi, &self.mask)).transpose()?,
            object_share: score::share(&self.mask),
            success: self.success(&made)?,
            color_error: self.color_error(&made)?,
            outside: score::change_outside(&input, &made, &self.mask)?,
            lanes: outcome.report.lanes,
            window: outcome.report.window,
            seconds,
            full: Vec::new(),
        };
        let Some(full) = full else {
            return Ok(Scored {
                score,
                results: vec![made],
            });
        };
        // Without a model's picture there is one way to finish.
        let finishes = match row.preset.edit {
            Some(_) => finishes,
            None => &[Finish::Recolor],
        };
        let mut results = Vec::new();
        for &finish in finishes {
            let (found, result) = full.score(&asked, row, &outcome, finish)?;
            score.full.push(found);
            results.push(result);
        }
        Ok(Scored { score, results })
    }

    /// Whether the object of an edited picture has the color asked for.
    pub(crate) fn success(&self, edited: &RgbImage) -> Result<bool> {
        Ok(match (&self.lit, self.color) {
            (Some(truth), Some(color)) => {
                score::color_success_lit(edited, truth, &self.colored, color)?
            }
            (None, Some(color)) => score::color_success(edited, &self.colored, color)?,
            (_, None) => {
                let from_input = score::color_error_lit(edited, &self.input, &self.colored)?;
                self.color_error(edited)? < from_input
            }
        })
    }

    fn color_error(&self, edited: &RgbImage) -> Result<f64> {
        Ok(match (&self.lit, self.color) {
            (Some(truth), _) => score::color_error_lit(edited, truth, &self.colored)?,
            (None, Some(color)) => score::color_error(edited, &self.colored, color)?,
            // Not made: without a color the true edit is there.
            (None, None) => 0.0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::named;

    #[test]
    fn another_object_has_another_color_and_the_object_its_own() {
        let mut recolored = 0;
        for index in 0..20 {
            let Some(scene) = Scene::new((Style::Plain, Task::Recolor), 3, index) else {
                continue;
            };
            let Some(picture) = scene.recolored() else {
                continue;
            };
            recolored += 1;
            let pixels = scene.input.pixels().zip(picture.pixels());
            let pixels = pixels.zip(scene.mask.pixels());
            let changed = pixels.filter(|((before, after), _)| before != after);
            let (inside, outside): (Vec<_>, Vec<_>) = changed.partition(|(_, mask)| mask.0[0] > 0);
            // Edges are blended where one object stands before the other.
            assert!(inside.len() * 5 <= outside.len(), "room {index}");
            assert!(!outside.is_empty(), "room {index}");
        }
        assert!(recolored > 10, "{recolored}");
    }

    #[test]
    fn what_goes_is_scored_by_what_is_behind_it() {
        for task in [Task::Remove, Task::Add, Task::Replace] {
            let scene = (0..)
                .find_map(|index| Scene::new((Style::Plain, task), 0, index))
                .unwrap();
            let truth = scene.room.draw(SIDE).after.srgb();
            assert_eq!(scene.color.is_none(), task == Task::Remove);
            assert!(scene.success(&truth).unwrap(), "{}", scene.instruction);
            assert!(task != Task::Remove || !scene.success(&scene.input).unwrap());
            assert!(scene.color_error(&truth).unwrap() < scene.color_error(&scene.input).unwrap());
        }
    }

    #[test]
    fn the_objects_words_are_those_that_are_no_color() {
        let scene = Scene::new((Style::Plain, Task::Recolor), 0, 0).unwrap();
        let row = Row {
            object_words: true,
            ..named("fast")
        };
        let words = scene.preset(&row).locate.unwrap().map.words;
        assert_eq!(words, ["painting"], "{}", scene.instruction);
        assert_eq!(scene.preset(&named("fast")), named("fast").preset);
    }
}
