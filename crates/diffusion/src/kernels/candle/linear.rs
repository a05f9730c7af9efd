//! Linear layers by candle's matrix product.

use candle_core::{D, Result, Tensor};

use crate::kernels::backend::Linear;

/// The weights as a checkpoint has them.
#[derive(Debug)]
pub(super) struct CandleLinear {
    /// `[outputs, inputs]`
    pub(super) weight: Tensor,
    /// `[outputs]`
    pub(super) bias: Option<Tensor>,
}

impl Linear for CandleLinear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, lines, inputs) = x.dims3()?;
        let y = x
            .reshape((rows * lines, inputs))?
            .matmul(&self.weight.t()?)?;
        let y = match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        y.reshape((rows, lines, ()))
    }

    fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.forward(x)? + residual
    }

    fn forward_gated(&self, x: &Tensor) -> Result<Tensor> {
        let halves = self.forward(x)?.chunk(2, D::Minus1)?;
        &halves[0] * halves[1].gelu_erf()?
    }
}
