//! One attention layer, with its [`Control`](crate::control::Control).

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::call::{Call, joined, rows};
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
                let attended =
                    profile::attention(profile::Kind::SelfAttention, &queries, &keys, || {
                        self.backend.attend(&queries, &keys, &values, how)
                    })?;
                attended.values
            }
            KeysFrom::Text(projection, index) => {
                let both = call.text.layer(*index)?;
                let width = both.dim(2)? / 2;
                let (keys, values) = (both.narrow(2, 0, width)?, both.narrow(2, width, width)?);
                let queries = linear(projection, x)?;
                self.to_seen(&queries, (&keys, &values), site, call)?
            }
        };
        let tap = Tap::Attention(*site);
        let mut outputs = Vec::new();
        for part in call.parts_by_features(&tap) {
            let (values, residual) = (rows(&attended, &part.rows)?, rows(residual, &part.rows)?);
            outputs.push(match part.seen_by {
                Some(member) => {
                    let features = linear(&self.out, &values)?;
                    call.members[member].control.features(&tap, &features)?;
                    (features + residual)?
                }
                None => profile::layer(profile::Kind::Linear, &values, || {
                    self.out.forward_add(&values, &residual)
                })?,
            });
        }
        joined(outputs)
    }

    /// Attends to the text, and shows the probabilities to whoever wants them.
    fn to_seen(
        &self,
        queries: &Tensor,
        (keys, values): (&Tensor, &Tensor),
        site: &Site,
        call: &mut Call<'_>,
    ) -> Result<Tensor> {
        let scores = (self.heads, queries.dim(1)?, keys.dim(1)?);
        let bias = call.bias(site, scores, queries.device())?;
        let mut outputs = Vec::new();
        for part in call.parts_by_probabilities(site) {
            let part_of = |tensor: &Tensor| rows(tensor, &part.rows);
            let bias = match &bias {
                // A bias of one row is every row's.
                Some(bias) if bias.dim(0)? > 1 => Some(part_of(bias)?),
                bias => bias.clone(),
            };
            let how = kernels::Attention {
                heads: self.heads,
                bias: bias.as_ref(),
                probabilities: part.seen_by.is_some(),
            };
            let (queries, keys, values) = (part_of(queries)?, part_of(keys)?, part_of(values)?);
            let attended =
                profile::attention(profile::Kind::TextAttention, &queries, &keys, || {
                    self.backend.attend(&queries, &keys, &values, how)
                })?;
            if let (Some(member), Some(probabilities)) = (part.seen_by, &attended.probabilities) {
                call.members[member]
                    .control
                    .probabilities(site, probabilities)?;
            }
            outputs.push(attended.values);
        }
        joined(outputs)
    }
}

fn linear(layer: &Arc<dyn Linear>, x: &Tensor) -> Result<Tensor> {
    profile::layer(profile::Kind::Linear, x, || layer.forward(x))
}
