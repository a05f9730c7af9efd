//! What the model is shown at its working size, and the checks on the instruction.

use limekiln_diffusion::model::Model;
use limekiln_diffusion::tokenizer::Tokenizer;
use limekiln_pictures::{resize, size};

use super::error::Error;
use super::read::Canvas;
use crate::edit::Request;
use crate::preset::Preset;

/// What an edit is asked for, beside its picture.
#[derive(Clone, Debug)]
pub struct Recipe {
    instruction: String,
    seed: u64,
    preset: Preset,
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
        })
    }
}

impl Canvas {
    /// The engine's request: the picture on white and the mask, shrunk so that the longer side is at most `side_max` pixels
    /// and both sides are multiples of `factor`.
    ///
    /// # Errors
    ///
    /// When nothing would be left of a side.
    pub fn request(&self, recipe: &Recipe, side_max: u32, factor: u32) -> Result<Request, Error> {
        let (width, height) = size::working(self.size(), side_max, factor)?;
        Ok(Request {
            image: resize::lanczos(&self.original.on_white(), width, height),
            instruction: recipe.instruction.clone(),
            seed: recipe.seed,
            preset: recipe.preset.clone(),
            mask: self
                .mask
                .as_ref()
                .map(|mask| size::mask_shrink(mask, (width, height))),
            scheduler: None,
        })
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
