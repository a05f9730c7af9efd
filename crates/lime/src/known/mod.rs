//! What is known of a picture before it is edited, because an earlier edit of it computed that: an edit that is given it leaves the
//! work out, and ends with the same bytes.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `kind` | [`Kind`]: what can be known |
//! | `keys` | [`Keys`]: names made of everything that determines it |
//! | `object` | [`Object`]: what was found to be recolored in the full-size picture |
//! | `bytes` | its form for keeping |

mod bytes;
mod keys;
mod kind;
mod object;

use std::sync::Arc;

use candle_core::{DType, Tensor};
use limekiln_pictures::original::Rgb16Image;

use crate::located::Located;

pub use keys::{Key, Keys};
pub use kind::Kind;
pub use object::{Object, Unplaced};

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
    /// What was found to be recolored.
    pub(crate) object: Option<Object>,
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

    /// The name of the object that is named but for its region, where it is known where it is.
    pub fn key_of(&self, object: &Unplaced) -> Option<Key> {
        object.known_within(self.region.as_ref())
    }

    /// The name of what was found to be recolored.
    pub fn object_key(&self) -> Option<Key> {
        self.object.as_ref().map(Object::key)
    }

    /// The latents, if they have this shape.
    pub(crate) fn latents_of(&self, shape: &[usize]) -> Option<Tensor> {
        let fits = |latents: &&Tensor| latents.dims() == shape && latents.dtype() == DType::F32;
        self.latents.as_ref().filter(fits).cloned()
    }
}
