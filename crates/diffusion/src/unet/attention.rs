//! One attention layer, with its [`Control`](crate::control::Control).

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::call::Call;
use crate::control::{Kind, Site, Tap};
use crate::kernels::{self, Backend, Builder, Linear};
use crate::profile;

/// The key and value projections of every layer that attends to the text, in the order of construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Projections(Vec<Arc<dyn Linear>>);

impl Projections {
    fn add(&mut self, projection: Arc<dyn Linear>) -> usize {
        self.0.push(projection);
        self.0.len() - 1
    }

    /// Applies all of them to text states `[rows, tokens, width]`.
    pub(super) fn project(&self, states: &Tensor) -> Result<Vec<Tensor>> {
        self.0
            .iter()
            .map(|projection| linear(projection, states))
            .collect()
    }
}

/// Where queries, keys and values come from.
#[derive(Clone, Debug)]
enum KeysFrom {
    /// The picture: one projection for all three.
    Picture(Arc<dyn Linear>),
    /// Queries from the picture, keys and values at this index of the call's texts.
    Text(Arc<dyn Linear>, usize),
}

/// diffusers' `Attention` with its default processor.
#[derive(Clone, Debug)]
pub(super) struct Attention {
    keys: KeysFrom,
    out: Arc<dyn Linear>,
    heads: usize,
    backend: &'static dyn Backend,
}

impl Attention {
    /// Attention within the picture.
    pub(super) fn to_picture(channels: usize, heads: usize, build: &Builder) -> Result<Self> {
        let projection =
            build.linear_joined(&["to_q", "to_k", "to_v"], channels, channels, false)?;
        Ok(Self {
            keys: KeysFrom::Picture(projection),
            out: build.pp("to_out").pp(0).linear(channels, channels)?,
            heads,
            backend: build.backend(),
        })
    }

    /// Attention to text states `context` wide.
    pub(super) fn to_text(
        channels: usize,
        heads: usize,
        context: usize,
        projections: &mut Projections,
        build: &Builder,
    ) -> Result<Self> {
        let both = build.linear_joined(&["to_k", "to_v"], context, channels, false)?;
        let index = projections.add(both);
        let queries = build.pp("to_q").linear_no_bias(channels, channels)?;
        Ok(Self {
            keys: KeysFrom::Text(queries, index),
            out: build.pp("to_out").pp(0).linear(channels, channels)?,
            heads,
            backend: build.backend(),
        })
    }

    /// Whether keys come from the text.
    pub(super) fn kind(&self) -> Kind {
        match self.keys {
            KeysFrom::Picture(_) => Kind::SelfAttention,
            KeysFrom::Text(..) => Kind::CrossAttention,
        }
    }

    /// `residual` plus the attention of `x`, both `[rows, pixels, channels]`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        residual: &Tensor,
        site: &Site,
        call: &mut Call<'_>,
    ) -> Result<Tensor> {
        let attended = match &self.keys {
            KeysFrom::Picture(projection) => {
                let both = linear(projection, x)?;
                let width = both.dim(2)? / 3;
                let part = |i: usize| both.narrow(2, i * width, width);
                let how = kernels::Attention::plain(self.heads);
                let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
                profile::attention(profile::Kind::SelfAttention, &queries, &keys, || {
                    self.backend.attend(&queries, &keys, &values, how)
                })?
            }
            KeysFrom::Text(projection, index) => {
                let both = call.text.layer(*index)?;
                let width = both.dim(2)? / 2;
                let (keys, values) = (both.narrow(2, 0, width)?, both.narrow(2, width, width)?);
                let bias = call.control.bias(site)?;
                let queries = linear(projection, x)?;
                let how = kernels::Attention {
                    heads: self.heads,
                    bias: bias.as_ref(),
                    probabilities: call.control.wants_probabilities(site),
                };
                let attended =
                    profile::attention(profile::Kind::TextAttention, &queries, &keys, || {
                        self.backend.attend(&queries, &keys, &values, how)
                    })?;
                if let Some(probabilities) = &attended.probabilities {
                    call.control.probabilities(site, probabilities)?;
                }
                attended
            }
        };
        let tap = Tap::Attention(*site);
        if call.control.wants_features(&tap) {
            let features = linear(&self.out, &attended.values)?;
            call.control.features(&tap, &features)?;
            return features + residual;
        }
        profile::layer(profile::Kind::Linear, &attended.values, || {
            self.out.forward_add(&attended.values, residual)
        })
    }
}

fn linear(layer: &Arc<dyn Linear>, x: &Tensor) -> Result<Tensor> {
    profile::layer(profile::Kind::Linear, x, || layer.forward(x))
}
