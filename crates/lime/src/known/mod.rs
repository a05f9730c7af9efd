//! What is known of a picture before it is edited, because an earlier edit of it computed that: an edit that is given it leaves the
//! work out, and ends with the same bytes.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `kind` | [`Kind`]: what can be known |
//! | `keys` | [`Keys`]: names made of everything that determines it |
//! | `bytes` | its form for keeping |

mod bytes;
mod keys;
mod kind;

use std::sync::Arc;

use candle_core::{DType, Tensor};
use limekiln_pictures::original::Rgb16Image;

use crate::located::Located;

pub use keys::{Key, Keys};
pub use kind::Kind;

/// What is known of a picture.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The picture's latents, f32 `[1, channels, h, w]`: the posterior's mode, unscaled.
    pub(crate) latents: Option<Tensor>,
    /// What the decoder makes of them.
    pub(crate) decoded: Option<Arc<Rgb16Image>>,
    /// The segments, where they are a function of the picture alone.
    pub(crate) segments: Option<Located>,
    /// All that stage 1 finds.
    pub(crate) region: Option<Located>,
    /// Which edit found the region, where it was for other words.
    pub(crate) region_from: Option<String>,
}

impl Known {
    /// Says that the region is that of another edit, for other words than this edit's.
    #[must_use]
    pub fn of_edit(self, edit: String) -> Self {
        Self {
            region_from: Some(edit),
            ..self
        }
    }

    /// The latents, if they have this shape.
    pub(crate) fn latents_of(&self, shape: &[usize]) -> Option<Tensor> {
        let fits = |latents: &&Tensor| latents.dims() == shape && latents.dtype() == DType::F32;
        self.latents.as_ref().filter(fits).cloned()
    }
}
