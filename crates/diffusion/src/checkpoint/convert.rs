//! Bytes of a file into numbers in memory, on all threads: converted, and laid out as the processor's layers read them, in one pass.

use candle_core::{DType, Device, Result, Tensor};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

/// Numbers that one thread converts at a time.
const CHUNK: usize = 1 << 16;

/// Numbers that are converted by one call, so that they are in the nearest cache twice.
const STEP: usize = 512;

/// Bytes of a large page.
#[cfg(target_os = "linux")]
const LARGE: usize = 2 << 20;

/// Inputs and outputs of a tile that is turned: both sides of it in whole cache lines, the tile itself in the nearest cache.
const INPUTS: usize = 32;
const OUTPUTS: usize = 16;

/// The tensor on the processor; none for types that are rare enough to be left to candle.
pub(super) fn converted(
    bytes: &[u8],
    (stored, wanted): (DType, DType),
    shape: &[usize],
) -> Result<Option<Tensor>> {
    let Some(read) = reader(stored) else {
        return Ok(None);
    };
    let size = stored.size_in_bytes();
    let tensor = match wanted {
        DType::F32 => Tensor::from_vec(all(bytes, size, read), shape, &Device::Cpu),
        DType::BF16 => {
            let narrow = |values: &[f32], to: &mut [bf16]| to.convert_from_f32_slice(values);
            let values = all(bytes, size, |bytes, to| {
                narrowed(bytes, size, to, read, narrow)
            });
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
        DType::F16 => {
            let narrow = |values: &[f32], to: &mut [f16]| to.convert_from_f32_slice(values);
            let values = all(bytes, size, |bytes, to| {
                narrowed(bytes, size, to, read, narrow)
            });
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
        _ => return Ok(None),
    };
    tensor.map(Some)
}

/// The weight `[outputs, inputs, ..]` of a layer in f32 on the processor, which lies in memory as its kernels read it: outputs next to
/// each other, then inputs, then the places of a convolution's kernel. Only the strides differ from [`converted`]'s. None for types
/// that are left to candle.
pub(super) fn outputs_last(bytes: &[u8], stored: DType, shape: &[usize]) -> Result<Option<Tensor>> {
    let (Some(read), [outputs, inputs, kernel @ ..]) = (reader(stored), shape) else {
        return Ok(None);
    };
    let (outputs, inputs, size) = (*outputs, *inputs, stored.size_in_bytes());
    let places: usize = kernel.iter().product();
    let mut values = vec![0f32; outputs * inputs * places];
    large_pages(&values);
    // What one thread fills: some inputs, at every place.
    let mut blocks: Vec<Vec<&mut [f32]>> = Vec::new();
    blocks.resize_with(inputs.div_ceil(INPUTS), Vec::new);
    for place in values.chunks_exact_mut(inputs * outputs) {
        for (block, part) in blocks.iter_mut().zip(place.chunks_mut(INPUTS * outputs)) {
            block.push(part);
        }
    }
    blocks
        .into_par_iter()
        .enumerate()
        .for_each(|(block, mut parts)| {
            let first = block * INPUTS;
            let count = INPUTS.min(inputs - first);
            let line = count * places;
            let mut tile = vec![0f32; OUTPUTS * line];
            for from in (0..outputs).step_by(OUTPUTS) {
                let lines = OUTPUTS.min(outputs - from);
                for (i, line) in tile.chunks_exact_mut(line).take(lines).enumerate() {
                    let at = ((from + i) * inputs + first) * places * size;
                    read(&bytes[at..][..line.len() * size], line);
                }
                for (place, part) in parts.iter_mut().enumerate() {
                    for (input, to) in part.chunks_exact_mut(outputs).enumerate() {
                        let at = input * places + place;
                        for (i, to) in to[from..][..lines].iter_mut().enumerate() {
                            *to = tile[i * line + at];
                        }
                    }
                }
            }
        });
    let rank = shape.len();
    let dims: Vec<usize> = kernel.iter().chain([&inputs, &outputs]).copied().collect();
    let back: Vec<usize> = [rank - 1, rank - 2]
        .into_iter()
        .chain(0..rank - 2)
        .collect();
    let tensor = Tensor::from_vec(values, dims, &Device::Cpu)?;
    tensor.permute(back).map(Some)
}

/// Reads little-endian numbers into as many of f32.
type Read = fn(&[u8], &mut [f32]);

/// What reads numbers of a type; none for types that are rare enough to be left to candle.
fn reader(stored: DType) -> Option<Read> {
    match stored {
        DType::F32 => Some(|bytes, to| {
            for (to, bytes) in to.iter_mut().zip(bytes.as_chunks().0) {
                *to = f32::from_le_bytes(*bytes);
            }
        }),
        DType::BF16 => Some(|bytes, to| {
            for (to, bytes) in to.iter_mut().zip(bytes.as_chunks().0) {
                *to = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
            }
        }),
        DType::F16 => Some(|bytes, to| {
            let mut halves = [f16::ZERO; STEP];
            for (bytes, to) in bytes.chunks(2 * STEP).zip(to.chunks_mut(STEP)) {
                let halves = &mut halves[..to.len()];
                for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks().0) {
                    *half = f16::from_le_bytes(*bytes);
                }
                halves.convert_to_f32_slice(to);
            }
        }),
        _ => None,
    }
}

/// Numbers of `size` bytes each, in order.
fn all<T: Copy + Default + Send>(
    bytes: &[u8],
    size: usize,
    read: impl Fn(&[u8], &mut [T]) + Sync,
) -> Vec<T> {
    let mut values = vec![T::default(); bytes.len() / size];
    large_pages(&values);
    values
        .par_chunks_mut(CHUNK)
        .zip(bytes.par_chunks(CHUNK * size))
        .for_each(|(values, bytes)| read(bytes, values));
    values
}

/// Asks for memory that is not used yet in large pages: weights are gigabytes, and a fault for every 4 KiB of them takes longer than
/// to convert what lies there.
#[cfg(target_os = "linux")]
fn large_pages<T>(values: &[T]) {
    const PAGE: usize = 4096;
    let before = values.as_ptr().addr().wrapping_neg() % PAGE;
    let Some(length) = size_of_val(values).checked_sub(before + LARGE) else {
        return;
    };
    let start = values.as_ptr().cast_mut().wrapping_byte_add(before);
    #[expect(
        unsafe_code,
        reason = "a call of the system that has no checked form; it is advice, and changes no value"
    )]
    // SAFETY: the range is part of `values`, which lives on, and its bytes stay as they are.
    let refused = unsafe { libc::madvise(start.cast(), length + LARGE, libc::MADV_HUGEPAGE) };
    // Where the system has none, pages stay small.
    let _ = refused;
}

#[cfg(not(target_os = "linux"))]
fn large_pages<T>(_: &[T]) {}

/// Reads as f32, then rounds.
fn narrowed<T>(
    bytes: &[u8],
    size: usize,
    to: &mut [T],
    read: impl Fn(&[u8], &mut [f32]),
    narrow: impl Fn(&[f32], &mut [T]),
) {
    let mut wide = [0f32; STEP];
    for (bytes, to) in bytes.chunks(STEP * size).zip(to.chunks_mut(STEP)) {
        let wide = &mut wide[..to.len()];
        read(bytes, wide);
        narrow(wide, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of so many different numbers, and what candle makes of them.
    fn numbers(stored: DType, count: usize) -> (Vec<u8>, Tensor) {
        let values: Vec<f32> = (0..count)
            .map(|i| (i as f32 * 0.37).sin() * 10f32.powi(i as i32 % 9 - 4))
            .collect();
        let bytes: Vec<u8> = match stored {
            DType::F16 => values
                .iter()
                .flat_map(|&v| f16::from_f32(v).to_le_bytes())
                .collect(),
            DType::BF16 => values
                .iter()
                .flat_map(|&v| bf16::from_f32(v).to_le_bytes())
                .collect(),
            _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        let tensor = Tensor::from_raw_buffer(&bytes, stored, &[count], &Device::Cpu).unwrap();
        (bytes, tensor)
    }

    fn bits(tensor: &Tensor) -> Vec<u32> {
        let plain = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
        plain
            .to_vec1::<f32>()
            .unwrap()
            .iter()
            .map(|v| v.to_bits())
            .collect()
    }

    #[test]
    fn numbers_are_those_that_candle_reads() {
        for stored in [DType::F16, DType::BF16, DType::F32] {
            for wanted in [DType::F16, DType::BF16, DType::F32] {
                let (bytes, tensor) = numbers(stored, CHUNK + STEP + 3);
                // One byte further: nothing in a file need be aligned.
                let moved = [&[0], &bytes[..]].concat();
                let shape = [tensor.elem_count()];
                let got = converted(&moved[1..], (stored, wanted), &shape)
                    .unwrap()
                    .unwrap();
                assert_eq!(got.dtype(), wanted);
                let expected = tensor.to_dtype(wanted).unwrap();
                assert!(bits(&got) == bits(&expected), "{stored:?} to {wanted:?}");
            }
        }
        let (bytes, _) = numbers(DType::F32, 4);
        assert!(
            converted(&bytes, (DType::F32, DType::F64), &[4])
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_weight_lies_with_its_outputs_last() {
        let shapes: [&[usize]; 6] = [
            &[1, 1],
            &[17, 33],
            &[64, 96],
            &[5, 40, 3, 3],
            &[33, 2, 1, 1],
            &[16, 65, 3, 3],
        ];
        for shape in shapes {
            let count = shape.iter().product();
            let (bytes, tensor) = numbers(DType::F16, count);
            let expected = tensor.to_dtype(DType::F32).unwrap().reshape(shape).unwrap();
            let got = outputs_last(&bytes, DType::F16, shape).unwrap().unwrap();
            assert_eq!(got.dims(), shape);
            assert_eq!(bits(&got), bits(&expected), "{shape:?}");
            let laid = match shape.len() {
                2 => got.t().unwrap(),
                _ => got.permute((2, 3, 1, 0)).unwrap(),
            };
            assert!(laid.is_contiguous(), "{shape:?}");
        }
    }
}
