//! Layers read from a checkpoint, for the backend that will run them.

use std::slice::from_ref;
use std::sync::Arc;

use candle_core::{Result, Shape, Tensor};
use candle_nn::VarBuilder;

use super::backend::{Backend, Conv, GroupNorm, LayerNorm, Linear, Padding};
use super::choice::backend;

/// A place among a checkpoint's names, and the backend that layers built there run on.
#[derive(Clone)]
pub(crate) struct Builder<'a> {
    vb: VarBuilder<'a>,
    backend: &'static dyn Backend,
}

impl<'a> Builder<'a> {
    /// For the backend of the device that the tensors go to.
    pub(crate) fn new(vb: VarBuilder<'a>) -> Self {
        Self {
            backend: backend(vb.device(), vb.dtype()),
            vb,
        }
    }

    /// For this backend, whatever the device.
    #[cfg(test)]
    pub(crate) fn on(vb: VarBuilder<'a>, backend: &'static dyn Backend) -> Self {
        Self { vb, backend }
    }

    /// The backend of every layer built here.
    pub(crate) fn backend(&self) -> &'static dyn Backend {
        self.backend
    }

    /// The place `name` below this one, as [`VarBuilder::pp`] goes there.
    pub(crate) fn pp(&self, name: impl ToString) -> Self {
        Self {
            vb: self.vb.pp(name),
            backend: self.backend,
        }
    }

    fn tensor(&self, shape: impl Into<Shape>, name: &str) -> Result<Tensor> {
        self.vb.get(shape, name)
    }

    /// A linear layer with a bias.
    pub(crate) fn linear(&self, inputs: usize, outputs: usize) -> Result<Arc<dyn Linear>> {
        self.joined(from_ref(self), inputs, outputs, true)
    }

    /// A linear layer without a bias.
    pub(crate) fn linear_no_bias(&self, inputs: usize, outputs: usize) -> Result<Arc<dyn Linear>> {
        self.joined(from_ref(self), inputs, outputs, false)
    }

    /// The layers `names` below this place as one, whose outputs lie behind each other: one product in place of several.
    pub(crate) fn linear_joined(
        &self,
        names: &[&str],
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Arc<dyn Linear>> {
        let parts: Vec<Self> = names.iter().map(|name| self.pp(name)).collect();
        self.joined(&parts, inputs, outputs, bias)
    }

    fn joined(
        &self,
        parts: &[Self],
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Arc<dyn Linear>> {
        let all = |read: &dyn Fn(&Self) -> Result<Tensor>| -> Result<Tensor> {
            Tensor::cat(&parts.iter().map(read).collect::<Result<Vec<_>>>()?, 0)
        };
        let weight = all(&|part| part.tensor((outputs, inputs), "weight"))?;
        let bias = bias
            .then(|| all(&|part| part.tensor(outputs, "bias")))
            .transpose()?;
        self.backend.linear(&weight, bias)
    }

    /// A 1x1 convolution as a linear layer over pixels.
    pub(crate) fn pointwise(&self, inputs: usize, outputs: usize) -> Result<Arc<dyn Linear>> {
        let weight = self
            .tensor((outputs, inputs, 1, 1), "weight")?
            .reshape((outputs, inputs))?;
        self.backend
            .linear(&weight, Some(self.tensor(outputs, "bias")?))
    }

    /// A convolution that keeps the size: a kernel of 3 gets 1 zero on every side, a kernel of 1 none.
    pub(crate) fn conv(
        &self,
        inputs: usize,
        outputs: usize,
        kernel: usize,
    ) -> Result<Arc<dyn Conv>> {
        self.conv_strided(inputs, outputs, kernel, 1, Padding::All(kernel / 2))
    }

    /// A convolution with a stride and a padding.
    pub(crate) fn conv_strided(
        &self,
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: Padding,
    ) -> Result<Arc<dyn Conv>> {
        let weight = self.tensor((outputs, inputs, kernel, kernel), "weight")?;
        self.backend
            .conv(weight, self.tensor(outputs, "bias")?, stride, padding)
    }

    /// The parameters of a group normalisation.
    pub(crate) fn group_norm(&self, groups: usize, channels: usize, eps: f64) -> Result<GroupNorm> {
        Ok(GroupNorm {
            weight: self.tensor(channels, "weight")?,
            bias: self.tensor(channels, "bias")?,
            groups,
            eps,
        })
    }

    /// The parameters of a layer normalisation.
    pub(crate) fn layer_norm(&self, width: usize, eps: f64) -> Result<LayerNorm> {
        Ok(LayerNorm {
            weight: self.tensor(width, "weight")?,
            bias: self.tensor(width, "bias")?,
            eps,
        })
    }
}
