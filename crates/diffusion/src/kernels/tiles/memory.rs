//! The bf16 values of tensors.

use std::ops::Deref;

use candle_core::{CpuStorage, DType, Result, Storage, StorageRef, Tensor, bail};
use half::bf16;

use crate::kernels::cpu::memory::plain;

/// The bf16 values of a tensor on the processor, from its first one on.
pub(super) struct Values<'a> {
    storage: StorageRef<'a>,
    start: usize,
}

impl<'a> Values<'a> {
    /// Of a tensor in bf16; its layout is the caller's business.
    pub(super) fn of(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        match &*storage {
            Storage::Cpu(CpuStorage::BF16(_)) => Ok(Self {
                start: layout.start_offset(),
                storage,
            }),
            _ => bail!(
                "this kernel wants bf16 on the processor, not {:?}",
                tensor.dtype()
            ),
        }
    }
}

impl Deref for Values<'_> {
    type Target = [bf16];

    fn deref(&self) -> &[bf16] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::BF16(values)) => &values[self.start..],
            // `of` let nothing else in.
            _ => &[],
        }
    }
}

/// As bf16, contiguous.
pub(super) fn packed(tensor: &Tensor) -> Result<Tensor> {
    tensor.to_dtype(DType::BF16)?.contiguous()
}

/// As bf16, contiguous at least along the last dimension.
pub(super) fn unit_last(tensor: &Tensor) -> Result<Tensor> {
    let tensor = tensor.to_dtype(DType::BF16)?;
    if tensor.stride().last() == Some(&1) {
        Ok(tensor)
    } else {
        tensor.contiguous()
    }
}

/// A `[rows, channels, height, width]` map as bf16 in `[rows, height, width, channels]`, contiguous.
pub(super) fn channels_last(map: &Tensor) -> Result<Tensor> {
    packed(&map.permute((0, 2, 3, 1))?)
}

/// A few parameters in f32.
pub(super) fn parameters(tensor: &Tensor) -> Result<Vec<f32>> {
    plain(tensor)?.flatten_all()?.to_vec1()
}
