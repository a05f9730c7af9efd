//! Slices of tensors, scratch buffers, and matrix products on slices.

use std::cell::RefCell;
use std::ops::Deref;

use candle_core::{CpuStorage, DType, Result, Storage, StorageRef, Tensor, bail};
use gemm::Parallelism;
use rayon::prelude::*;

/// The f32 values of a tensor on the processor, from its first one on.
pub(crate) struct Values<'a> {
    storage: StorageRef<'a>,
    start: usize,
}

impl<'a> Values<'a> {
    /// Of a tensor in f32; its layout is the caller's business.
    pub(crate) fn of(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        match &*storage {
            Storage::Cpu(CpuStorage::F32(_)) => Ok(Self {
                start: layout.start_offset(),
                storage,
            }),
            _ => bail!(
                "this kernel wants f32 on the processor, not {:?}",
                tensor.dtype()
            ),
        }
    }
}

impl Deref for Values<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.start..],
            // `of` let nothing else in.
            _ => &[],
        }
    }
}

/// As f32, contiguous.
pub(crate) fn plain(tensor: &Tensor) -> Result<Tensor> {
    tensor.to_dtype(DType::F32)?.contiguous()
}

/// A `[rows, channels, height, width]` map as f32 in `[rows, height, width, channels]`, contiguous.
pub(crate) fn channels_last(map: &Tensor) -> Result<Tensor> {
    plain(&map.permute((0, 2, 3, 1))?)
}

/// As f32, contiguous at least along the last dimension.
pub(crate) fn unit_last(tensor: &Tensor) -> Result<Tensor> {
    let tensor = tensor.to_dtype(DType::F32)?;
    if tensor.stride().last() == Some(&1) {
        Ok(tensor)
    } else {
        tensor.contiguous()
    }
}

/// A buffer that its thread uses again and again; its content is whatever was left there.
pub(crate) fn with_scratch<T>(len: usize, f: impl FnOnce(&mut [f32]) -> T) -> T {
    thread_local!(static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) });
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < len {
            scratch.resize(len, 0.0);
        }
        f(&mut scratch[..len])
    })
}

/// A matrix in a slice: element (i, j) at `i * row + j * column`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    row: usize,
    column: usize,
}

impl<'a> Matrix<'a> {
    /// Whose rows are contiguous and lie `row` apart.
    pub(crate) fn rows(values: &'a [f32], row: usize) -> Self {
        Self {
            values,
            row,
            column: 1,
        }
    }

    /// Whose columns are contiguous and lie `column` apart.
    pub(crate) fn columns(values: &'a [f32], column: usize) -> Self {
        Self {
            values,
            row: 1,
            column,
        }
    }
}

/// `out[i, j] = scale * sum over k of a[i, k] b[k, j]`, plus what `out` held if `add`; rows of `out` lie `out_row` apart.
/// One thread: callers run many in parallel. (m, k, n) are the sizes.
pub(crate) fn product(
    (m, k, n): (usize, usize, usize),
    out: &mut [f32],
    out_row: usize,
    add: bool,
    a: Matrix<'_>,
    b: Matrix<'_>,
    scale: f32,
) {
    if m == 0 || n == 0 {
        return;
    }
    let last = |rows: usize, columns: usize, x: Matrix<'_>| {
        rows.saturating_sub(1) * x.row + columns.saturating_sub(1) * x.column
    };
    assert!(out.len() > (m - 1) * out_row + n - 1 && out_row >= n);
    assert!(k == 0 || (a.values.len() > last(m, k, a) && b.values.len() > last(k, n, b)));
    #[expect(
        unsafe_code,
        reason = "gemm takes pointers and strides, and has no checked form"
    )]
    // SAFETY: every element of the three matrices is inside its slice, as just checked, and `out` is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_row as isize,
            add,
            a.values.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.column as isize,
            b.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Splits `out`, whose rows have `row_len` values each, into pieces of at most `piece` values that never cross a row.
/// Yields (row, offset in the row, piece).
pub(crate) fn pieces<T>(
    out: &mut [T],
    row_len: usize,
    piece: usize,
) -> Vec<(usize, usize, &mut [T])> {
    if row_len == 0 || piece == 0 {
        return Vec::new();
    }
    out.chunks_mut(row_len)
        .enumerate()
        .flat_map(|(row, values)| {
            values
                .chunks_mut(piece)
                .enumerate()
                .map(move |(i, part)| (row, i * piece, part))
        })
        .collect()
}

/// Work, in multiplications, that is not worth waking other threads for: a few microseconds.
const SMALL: usize = 1 << 17;

/// Applies `f` to every item, on all threads unless the whole is small; results in order.
pub(crate) fn each<T: Send, R: Send>(
    items: Vec<T>,
    multiplications: usize,
    f: impl Fn(T) -> R + Sync + Send,
) -> Vec<R> {
    if multiplications < SMALL || rayon::current_num_threads() == 1 {
        items.into_iter().map(f).collect()
    } else {
        items.into_par_iter().map(f).collect()
    }
}
