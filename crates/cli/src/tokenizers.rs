//! The tokenizers of the models that a gateway knows, which find instructions that are too long before an edit is queued.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result};
use limekiln_diffusion::checkpoint::{Checkpoint, OpenOptions, Source};
use limekiln_diffusion::tokenizer::Tokenizer;
use limekiln_gateway::Length;
use limekiln_jobs::ModelName;
use limekiln_lime::canvas::{Error, tokens_check};

use crate::models::BUILT_IN;

/// Tokenizers by the names that edits call their models by. A clone is the same set.
#[derive(Clone, Default)]
pub(crate) struct Tokenizers(Arc<RwLock<HashMap<String, Tokenizer>>>);

impl Tokenizers {
    /// The built-in model's.
    ///
    /// # Errors
    ///
    /// When the model in the binary can't be read.
    pub(crate) fn built_in() -> Result<Self> {
        let source = Source::Embedded(limekiln_rooms::checkpoint_files());
        let model = Checkpoint::open(&source, &OpenOptions::default())
            .context("the built-in model can't be opened")?;
        let known = Self::default();
        known.add(BUILT_IN, model.tokenizer);
        Ok(known)
    }

    /// Has this one for the model, in place of any other.
    pub(crate) fn add(&self, model: &str, tokenizer: Tokenizer) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(model.to_owned(), tokenizer);
    }

    /// What the gateway asks.
    pub(crate) fn length(&self) -> Length {
        let known = self.clone();
        Arc::new(move |model, instruction| known.too_long(model, instruction))
    }

    fn too_long(&self, model: &ModelName, instruction: &str) -> Option<String> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match tokens_check(known.get(model.as_str())?, instruction) {
            Err(error @ Error::InstructionTooLong { .. }) => Some(error.to_string()),
            // Whatever else is wrong is no question of length: the worker says it.
            Ok(()) | Err(_) => None,
        }
    }
}
