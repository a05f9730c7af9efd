//! What every layer of the U-Net is handed in one call.

use std::ops::Range;

use candle_core::{DType, Device, Result, Tensor};

use super::context::TextContext;
use crate::control::{Member, Site, Tap};

/// One call of the U-Net.
pub(super) struct Call<'a> {
    /// The time embedding, `[rows, 1, dim]`, SiLU applied.
    pub(super) time: Tensor,
    pub(super) text: TextContext,
    /// Who shares the call, in the order of their rows.
    pub(super) members: Vec<Member<'a>>,
    /// Outputs of the way down that the way up has not yet taken, the last one on top.
    pub(super) skips: Vec<Tensor>,
}

/// Neighbouring rows of a call that are computed in one go.
pub(super) struct Part {
    /// The rows.
    pub(super) rows: Range<usize>,
    /// The member that wants to see what comes out; none of all that want nothing.
    pub(super) seen_by: Option<usize>,
}

impl<'a> Call<'a> {
    /// The rows of each member.
    fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let mut next = 0;
        self.members.iter().map(move |member| {
            let first = next;
            next += member.rows;
            first..next
        })
    }

    /// Splits the batch so that whoever `wants` to see something has a part of its own. Showing can round otherwise than not
    /// showing, so that what one member wants is computed for its rows alone.
    fn parts(&self, wants: impl Fn(&Member<'a>) -> bool) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for ((index, member), rows) in self.members.iter().enumerate().zip(self.ranges()) {
            let seen_by = wants(member).then_some(index);
            match parts.last_mut() {
                Some(last) if seen_by.is_none() && last.seen_by.is_none() => {
                    last.rows.end = rows.end;
                }
                _ => parts.push(Part { rows, seen_by }),
            }
        }
        parts
    }

    /// Parts by who wants the probabilities of this layer.
    pub(super) fn parts_by_probabilities(&self, site: &Site) -> Vec<Part> {
        self.parts(|member| member.control.wants_probabilities(site))
    }

    /// Parts by who wants these features.
    pub(super) fn parts_by_features(&self, tap: &Tap) -> Vec<Part> {
        self.parts(|member| member.control.wants_features(tap))
    }

    /// The bias of a layer whose scores have so many heads, pixels and tokens: `[rows, heads or 1, pixels, tokens]`, zeros for
    /// members that have none. None where nobody has one.
    pub(super) fn bias(
        &mut self,
        site: &Site,
        (heads, pixels, tokens): (usize, usize, usize),
        device: &Device,
    ) -> Result<Option<Tensor>> {
        if let [member] = self.members.as_mut_slice() {
            return member.control.bias(site);
        }
        let biases: Vec<Option<Tensor>> = self
            .members
            .iter_mut()
            .map(|member| member.control.bias(site))
            .collect::<Result<_>>()?;
        if biases.iter().all(Option::is_none) {
            return Ok(None);
        }
        let by_head = |bias: &Tensor| bias.dims4().is_ok_and(|(_, heads, ..)| heads > 1);
        let heads = match biases.iter().flatten().any(by_head) {
            true => heads,
            false => 1,
        };
        let stacked = self.members.iter().zip(biases).map(|(member, bias)| {
            let shape = (member.rows, heads, pixels, tokens);
            match bias {
                Some(bias) => bias.to_dtype(DType::F32)?.broadcast_as(shape)?.contiguous(),
                None => Tensor::zeros(shape, DType::F32, device),
            }
        });
        let stacked: Vec<Tensor> = stacked.collect::<Result<_>>()?;
        Tensor::cat(&stacked, 0).map(Some)
    }
}

/// These rows of a batch; all of it where it has no others.
pub(super) fn rows(tensor: &Tensor, rows: &Range<usize>) -> Result<Tensor> {
    if *rows == (0..tensor.dim(0)?) {
        return Ok(tensor.clone());
    }
    tensor.narrow(0, rows.start, rows.len())
}

/// Parts of a batch, in their order, as one.
pub(super) fn joined(mut parts: Vec<Tensor>) -> Result<Tensor> {
    match parts.len() {
        1 => Ok(parts.remove(0)),
        _ => Tensor::cat(&parts, 0),
    }
}
