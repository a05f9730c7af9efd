//! One network's configuration and tensors, and the check that both fit exactly.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;

use super::select::TEXT;
use super::tensors::{Stored, Tensors};
use crate::Error;

/// Most names that a sentence lists.
const LISTED: usize = 4;

/// Tensors of text encoders that no network reads: buffers, and what only CLIP's training needs.
pub(super) const TEXT_INERT: [&str; 4] = [
    "text_model.embeddings.position_ids",
    "logit_scale",
    "text_projection.weight",
    "text_projection",
];

/// A network's configuration and its weights, under diffusers' (for the text encoder: `text_model.`) names.
pub struct Component<C> {
    /// What the network is to be built from.
    pub config: C,
    weights: Arc<Weights>,
}

impl<C> Component<C> {
    pub(super) fn new(name: &'static str, config: C, tensors: Tensors) -> Self {
        let weights = Weights {
            component: name,
            tensors,
            asked: Mutex::default(),
        };
        Self {
            config,
            weights: Arc::new(weights),
        }
    }

    /// Hands out tensors in `dtype` on `device`. A tensor that is missing or of another shape is an error that names it,
    /// both shapes and the file.
    pub fn var_builder(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(
            Box::new(Backend(self.weights.clone())),
            dtype,
            device.clone(),
        )
    }

    /// Names of all tensors, in order; inert ones are not among them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.weights.tensors.keys().map(String::as_str)
    }

    /// Numbers in all tensors.
    pub fn parameters(&self) -> usize {
        let shapes = self.weights.tensors.values().map(|stored| &stored.shape);
        shapes.map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// To be called once the network is built: the tensors that it did not ask for, in a sentence. None where there are none.
    pub fn spare(&self) -> Option<String> {
        let asked = self.weights.asked();
        let unused: Vec<_> = self
            .weights
            .tensors
            .iter()
            .filter(|(name, _)| !asked.contains(*name))
            .collect();
        let (_, first) = unused.first()?;
        let names: Vec<_> = unused
            .iter()
            .map(|(name, stored)| both(name, stored))
            .collect();
        left_out(self.weights.component, &names, &first.blob.path)
    }

    /// Finds what is stored in a type that is not computed with, before gigabytes are read.
    ///
    /// # Errors
    /// [`Error::Tensor`] naming the first tensor of eight bits.
    pub(super) fn types_check(&self) -> Result<(), Error> {
        let eight_bits = |stored: &&Stored| stored.is_fp8();
        match self.weights.tensors.values().find(eight_bits) {
            Some(stored) => Err(Error::Tensor {
                component: self.weights.component,
                problem: stored.unread(),
            }),
            None => Ok(()),
        }
    }
}

/// A sentence on tensors that were read and have no place; none where there are none.
pub(super) fn left_out(place: &str, names: &[String], path: &str) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let listed = names
        .iter()
        .take(LISTED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let more = match names.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "{place} has no place for {listed}{more} of {path}: left out, nothing that is needed is missing"
    ))
}

struct Weights {
    component: &'static str,
    tensors: Tensors,
    asked: Mutex<BTreeSet<String>>,
}

impl Weights {
    fn asked(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &str) -> candle_core::Result<&Stored> {
        let Some(stored) = self.tensors.get(name) else {
            let place = self
                .tensors
                .values()
                .next()
                .map_or("an empty file", |t| &t.blob.path);
            return Err(self.problem(format!("tensor {name} is missing in {place}")));
        };
        self.asked().insert(name.to_owned());
        Ok(stored)
    }

    /// Whether the processor's kernels read this tensor with its outputs last, so that it need not be laid out twice. Those that are
    /// joined with others or reshaped first are not, nor what candle's own layers of the text encoder read.
    fn turns(&self, name: &str, stored: &Stored) -> bool {
        const PLAIN: [&str; 5] = [".to_q.", ".to_k.", ".to_v.", ".proj_in.", ".proj_out."];
        self.component != TEXT.folder
            && stored.shape.len() >= 2
            && !PLAIN.iter().any(|part| name.contains(part))
    }

    fn problem(&self, problem: String) -> candle_core::Error {
        // Not `Error::wrap`, which would append a backtrace to the one line.
        candle_core::Error::Wrapped(Box::new(Error::Tensor {
            component: self.component,
            problem,
        }))
    }
}

struct Backend(Arc<Weights>);

impl SimpleBackend for Backend {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let stored = self.0.find(name)?;
        if stored.shape != shape.dims() {
            return Err(self.0.problem(format!(
                "tensor {} has shape {:?} in {}, but the configuration asks for {:?}",
                both(name, stored),
                stored.shape,
                stored.blob.path,
                shape.dims()
            )));
        }
        if stored.dtype.is_none() {
            return Err(self.0.problem(stored.unread()));
        }
        stored.read(dtype, device, self.0.turns(name, stored))
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        self.0.find(name)?.read(dtype, device, false)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.tensors.contains_key(name)
    }
}

/// The name, and the file's own where it differs.
fn both(name: &str, stored: &Stored) -> String {
    if stored.name == name {
        name.to_owned()
    } else {
        format!("{name} ({})", stored.name)
    }
}
