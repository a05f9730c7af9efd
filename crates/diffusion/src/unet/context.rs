//! What the U-Net reads of the texts.

use candle_core::{Tensor, bail};

use crate::Error;

/// Keys and values of every layer that attends to the text: computed once per edit, read at every step.
#[derive(Clone, Debug)]
pub struct TextContext {
    /// Per layer `[rows, tokens, 2 * channels]`, keys first.
    layers: Vec<Tensor>,
}

impl TextContext {
    /// From one tensor per layer, in the order of construction.
    pub(super) fn new(layers: Vec<Tensor>) -> Self {
        Self { layers }
    }

    /// Stacks the rows of several.
    ///
    /// # Errors
    /// When there is none, or when they come from different networks or numbers of tokens.
    pub fn cat(contexts: &[&Self]) -> Result<Self, Error> {
        let Some(first) = contexts.first() else {
            return Err(Error::Candle(candle_core::Error::Msg(
                "no text contexts to stack".into(),
            )));
        };
        let layers = (0..first.layers.len())
            .map(|i| {
                let parts: Option<Vec<&Tensor>> =
                    contexts.iter().map(|c| c.layers.get(i)).collect();
                match parts {
                    Some(parts) => Tensor::cat(&parts, 0),
                    None => bail!("text contexts come from different networks"),
                }
            })
            .collect::<candle_core::Result<_>>()?;
        Ok(Self { layers })
    }

    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.layers
            .first()
            .and_then(|layer| layer.dim(0).ok())
            .unwrap_or(0)
    }

    pub(super) fn layer(&self, index: usize) -> candle_core::Result<&Tensor> {
        match self.layers.get(index) {
            Some(layer) => Ok(layer),
            None => bail!("this text context comes from another network"),
        }
    }
}
