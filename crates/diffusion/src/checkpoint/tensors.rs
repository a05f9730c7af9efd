//! Where a tensor lies in its file, and how it is read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::blob::Blob;
use super::convert::{converted, outputs_last};
use crate::Error;

/// Tensors by name.
pub(super) type Tensors = BTreeMap<String, Stored>;

/// One tensor in a file.
#[derive(Clone)]
pub(super) struct Stored {
    /// The tensor's name in the file.
    pub(super) name: String,
    /// `None` for types that no network reads.
    pub(super) dtype: Option<DType>,
    /// The type as the file names it.
    kind: String,
    pub(super) shape: Vec<usize>,
    /// Distance of neighbours along each dimension, in elements.
    strides: Vec<usize>,
    pub(super) blob: Arc<Blob>,
    /// Offset of the first element in the file, in bytes.
    start: usize,
}

impl Stored {
    /// Checks that the tensor, whose first element is the first of `within`, ends there too.
    pub(super) fn new(
        name: String,
        (dtype, kind): (Option<DType>, String),
        shape: Vec<usize>,
        strides: Option<Vec<usize>>,
        blob: &Arc<Blob>,
        within: Range<usize>,
    ) -> Result<Self, Error> {
        let strides = strides.unwrap_or_else(|| contiguous(&shape));
        let stored = Self {
            name,
            dtype,
            kind,
            shape,
            strides,
            blob: blob.clone(),
            start: within.start,
        };
        let end = within.end.min(blob.len());
        if stored.dtype.is_none() || stored.ends_by(end) == Some(true) {
            return Ok(stored);
        }
        Err(blob.damaged(format!(
            "tensor {} of shape {:?} reaches beyond the file: it is cut off or damaged",
            stored.name, stored.shape
        )))
    }

    /// Whether the last element ends by then; `None` on overflow.
    fn ends_by(&self, limit: usize) -> Option<bool> {
        let size = self.dtype?.size_in_bytes();
        if self.shape.len() != self.strides.len() {
            return Some(false);
        }
        let count = self
            .shape
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))?;
        if count == 0 {
            return Some(true);
        }
        let last = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(0usize, |n, (&d, &s)| n.checked_add((d - 1).checked_mul(s)?))?;
        let end = self
            .start
            .checked_add(last.checked_add(1)?.checked_mul(size)?)?;
        // An expanded tensor (stride 0) could name more elements than there are bytes; nothing stores weights like that.
        Some(end <= limit && count.checked_mul(size)? <= self.blob.len())
    }

    /// Whether the numbers have eight bits.
    pub(super) fn is_fp8(&self) -> bool {
        let kind = self.kind.to_lowercase();
        self.dtype.is_none() && (kind.starts_with("f8") || kind.contains("float8"))
    }

    /// Why the tensor can't be read, in words.
    pub(super) fn unread(&self) -> String {
        let (name, kind, path) = (&self.name, &self.kind, &self.blob.path);
        if self.is_fp8() {
            return format!(
                "tensor {name} of {path} is stored in eight bits (fp8, {kind}), which are not computed with here: take the \
                 checkpoint's fp16, bf16 or fp32 file"
            );
        }
        format!("tensor {name} of {path} is of the type {kind}, which no network reads")
    }

    /// Part `i` of `n` equal parts of the first dimension.
    pub(super) fn part(&self, i: usize, n: usize) -> Option<Self> {
        let (&rows, &stride) = (self.shape.first()?, self.strides.first()?);
        if !rows.is_multiple_of(n) || i >= n {
            return None;
        }
        let mut part = self.clone();
        part.shape[0] = rows / n;
        part.start += i * (rows / n) * stride * self.dtype?.size_in_bytes();
        Some(part)
    }

    /// A 1x1 convolution's weight as a linear layer's; anything else unchanged.
    pub(super) fn linear(mut self) -> Self {
        if matches!(self.shape[..], [_, _, 1, 1]) {
            self.shape.truncate(2);
            self.strides.truncate(2);
        }
        self
    }

    /// Copies the tensor to a device; `turned`, with the outputs of a layer next to each other in memory, if the device is the
    /// processor and computes in f32.
    pub(super) fn read(
        &self,
        dtype: DType,
        device: &Device,
        turned: bool,
    ) -> candle_core::Result<Tensor> {
        let Some(stored) = self.dtype else {
            candle_core::bail!("{}", self.unread())
        };
        let size = stored.size_in_bytes();
        let count: usize = self.shape.iter().product();
        let tensor = if count == 0 {
            Tensor::zeros(self.shape.as_slice(), stored, device)?
        } else if self.strides == contiguous(&self.shape) {
            let within = self.start..self.start + count * size;
            let bytes = &self.blob[within.clone()];
            let made = match device {
                Device::Cpu if turned && dtype == DType::F32 => {
                    outputs_last(bytes, stored, &self.shape)?
                }
                Device::Cpu => converted(bytes, (stored, dtype), &self.shape)?,
                _ => None,
            };
            let made = match made {
                Some(made) => made,
                None => Tensor::from_raw_buffer(bytes, stored, &self.shape, device)?,
            };
            self.blob.forget(within);
            made
        } else {
            Tensor::from_raw_buffer(&self.gather(count, size), stored, &self.shape, device)?
        };
        tensor.to_dtype(dtype)
    }

    /// Elements in row-major order.
    fn gather(&self, count: usize, size: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count * size);
        for i in 0..count {
            let (mut rest, mut offset) = (i, 0);
            for (&d, &s) in self.shape.iter().zip(&self.strides).rev() {
                offset += rest % d * s;
                rest /= d;
            }
            let at = self.start + offset * size;
            bytes.extend_from_slice(&self.blob[at..at + size]);
        }
        bytes
    }
}

fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i]);
    }
    strides
}
