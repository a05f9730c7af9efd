//! What the model is shown at its working size, and the checks on the instruction.

use limekiln_diffusion::model::Model;
use limekiln_diffusion::tokenizer::Tokenizer;
use limekiln_pictures::{resize, size};

use super::error::Error;
use super::read::Canvas;
use crate::edit::{Outcome, Request};
use crate::found::{Full, Paint};
use crate::preset::Preset;
use crate::report::{Report, Way, Why};

/// By how many latents an edit reaches further where its object's matte decides in the end, unless the preset says.
const MATTE_LATENTS: usize = 2;

/// What an edit is asked for, beside its picture.
#[derive(Clone, Debug)]
pub struct Recipe {
    instruction: String,
    seed: u64,
    preset: Preset,
    paint: Option<Paint>,
    detailed: bool,
}

impl Recipe {
    /// Takes an instruction, the seed of the noise, and a preset.
    ///
    /// # Errors
    ///
    /// When the instruction says nothing.
    pub fn new(instruction: &str, seed: u64, preset: Preset) -> Result<Self, Error> {
        if instruction.trim().is_empty() {
            return Err(Error::InstructionEmpty);
        }
        Ok(Self {
            instruction: instruction.to_owned(),
            seed,
            preset,
            paint: None,
            detailed: false,
        })
    }

    /// The same with something to recolor, as [`super::paint`] reads it.
    pub fn painted(self, paint: Option<Paint>) -> Self {
        Self { paint, ..self }
    }

    /// The same for the finish [`Finish::Detail`](super::Finish::Detail): the input's latents are decoded, too, and the edit reaches
    /// a little beyond its region, as far as the object's matte may.
    pub fn detailed(mut self, detailed: bool) -> Self {
        self.detailed = detailed;
        if let Some(blend) = self
            .preset
            .edit
            .as_mut()
            .and_then(|edit| edit.blend.as_mut())
            && detailed
            && blend.matte == 0
        {
            blend.matte = MATTE_LATENTS;
        }
        self
    }

    /// Whether all that is asked for is a recolor.
    pub(super) fn only_recolors(&self) -> bool {
        self.preset.edit.is_none()
    }
}

impl Canvas {
    /// The engine's request: the picture on white and the mask, shrunk so that the longer side is at most `side_max` pixels
    /// and both sides are multiples of `factor`.
    ///
    /// # Errors
    ///
    /// When nothing would be left of a side, and when there is no region to recolor in.
    pub fn request(&self, recipe: &Recipe, side_max: u32, factor: u32) -> Result<Request, Error> {
        if recipe.only_recolors() && recipe.preset.locate.is_none() && self.mask.is_none() {
            return Err(Error::NoRegion);
        }
        let (width, height) = size::working(self.size(), side_max, factor)?;
        Ok(Request {
            image: resize::lanczos(&self.original.on_white(), width, height),
            instruction: recipe.instruction.clone(),
            seed: recipe.seed,
            preset: recipe.preset.clone(),
            mask: self
                .mask
                .as_ref()
                .map(|mask| size::mask_shrink(&mask.pixels, (width, height))),
            scheduler: None,
            full: self.full(recipe),
            beside: recipe.detailed && !recipe.only_recolors(),
        })
    }

    /// What has to be looked at before it is known whether the picture is edited or recolored.
    fn full(&self, recipe: &Recipe) -> Option<Full> {
        let paint = recipe.paint.clone()?;
        let both = recipe.preset.recolor.is_some() && !recipe.only_recolors();
        both.then(|| Full {
            original: self.original.clone(),
            mask: self.mask.clone(),
            paint,
        })
    }

    /// What comes of an edit that needs no model, since the user's mask says where and the picture is only recolored: the
    /// outcome that [`Canvas::finish`] makes a result of. None where a model is needed.
    pub fn without_model(&self, recipe: &Recipe) -> Option<Outcome> {
        let mask = self.mask.as_ref()?;
        let recolor = recipe.preset.recolor.as_ref()?;
        let certain = recipe.paint.is_some() && !mask.rough;
        if !recipe.only_recolors() && !certain {
            return None;
        }
        let way = (!recipe.only_recolors()).then(|| Way::new(Why::Sure, Some(1.0), recolor.sure));
        let (width, height) = self.size();
        let asked = (recipe.preset.clone(), recipe.seed, &*recipe.instruction);
        Some(Outcome::undone(Report::unrun(asked, (width, height), way)))
    }
}

/// Most characters of an instruction that an error repeats.
const REPEATED: usize = 32;

/// Checks that the model sees an instruction to its end.
///
/// # Errors
///
/// When it is too long.
pub fn length_check(model: &Model, instruction: &str) -> Result<(), Error> {
    tokens_check(&model.tokenizer, instruction)
}

/// The same, for whoever has a model's tokenizer alone.
///
/// # Errors
///
/// As [`length_check`].
pub fn tokens_check(tokenizer: &Tokenizer, instruction: &str) -> Result<(), Error> {
    let Some(cut) = tokenizer.encode(instruction)?.cut else {
        return Ok(());
    };
    let mut from: String = cut.trim().chars().take(REPEATED).collect();
    if from.len() < cut.trim().len() {
        from.push('…');
    }
    Err(Error::InstructionTooLong {
        tokens: tokenizer.length(),
        from,
    })
}
