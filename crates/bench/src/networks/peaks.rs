//! The most that the processor reaches on these threads: multiply-adds from registers, and a copy in memory.

use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

/// The processor's peaks on all threads together.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Peaks {
    /// Billions of f32 multiplications and additions a second; none where nothing measures it.
    pub f32_gflops: Option<f64>,
    /// Billions of bf16 multiplications and additions a second by vectors; none where the processor has none.
    pub bf16_gflops: Option<f64>,
    /// GB a second, read and written, of a copy.
    pub copy_gbytes: f64,
}

/// Bytes that are copied: more than caches hold, as a rule.
const COPIED: usize = 256 << 20;

/// How often each is tried; the best counts.
const TRIES: usize = 5;

/// Multiply-adds of one chain in one try.
const LENGTH: usize = 1 << 20;

/// Measures for about a second.
pub fn peaks() -> Peaks {
    let (from, mut to) = (vec![1u8; COPIED], vec![0u8; COPIED]);
    let copy = best(|| {
        to.par_chunks_mut(1 << 20)
            .zip(from.par_chunks(1 << 20))
            .for_each(|(to, from)| to.copy_from_slice(from));
    });
    Peaks {
        f32_gflops: arithmetic::f32_operations().map(rate),
        bf16_gflops: arithmetic::bf16_operations().map(rate),
        copy_gbytes: 2.0 * COPIED as f64 / copy / 1e9,
    }
}

/// Of a loop that runs on every thread: its operations, and itself.
fn rate((operations, run): (usize, fn())) -> f64 {
    let seconds = best(|| drop(rayon::broadcast(|_| run())));
    (operations * rayon::current_num_threads()) as f64 / seconds / 1e9
}

fn best(mut run: impl FnMut()) -> f64 {
    (0..TRIES)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "instructions that not every processor has may only be called this way"
)]
mod arithmetic {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::LENGTH;

    /// Chains that run beside each other: enough to hide the latency of each.
    const CHAINS: usize = 12;

    pub(super) fn f32_operations() -> Option<(usize, fn())> {
        if is_x86_feature_detected!("avx512f") {
            return Some((2 * 16 * CHAINS * LENGTH, || {
                // SAFETY: the processor has these instructions, as just asked.
                unsafe { wide() }
            }));
        }
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some((
            2 * 8 * CHAINS * LENGTH,
            || {
                // SAFETY: the processor has these instructions, as just asked.
                unsafe { medium() }
            },
        ))
    }

    pub(super) fn bf16_operations() -> Option<(usize, fn())> {
        (is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512f")).then_some((
            2 * 32 * CHAINS * LENGTH,
            || {
                // SAFETY: the processor has these instructions, as just asked.
                unsafe { half() }
            },
        ))
    }

    #[target_feature(enable = "avx512f")]
    fn wide() {
        let (a, b) = (
            black_box(_mm512_set1_ps(0.5)),
            black_box(_mm512_set1_ps(1.0)),
        );
        let mut sums = [_mm512_setzero_ps(); CHAINS];
        for _ in 0..LENGTH {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2,fma")]
    fn medium() {
        let (a, b) = (
            black_box(_mm256_set1_ps(0.5)),
            black_box(_mm256_set1_ps(1.0)),
        );
        let mut sums = [_mm256_setzero_ps(); CHAINS];
        for _ in 0..LENGTH {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn half() {
        let ones = black_box(_mm512_set1_epi16(0x3f80));
        // SAFETY: both hold 512 bits, and any bits are a value of either.
        let ones: __m512bh = unsafe { std::mem::transmute(ones) };
        let mut sums = [_mm512_setzero_ps(); CHAINS];
        for _ in 0..LENGTH {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, ones, ones);
            }
        }
        black_box(sums);
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod arithmetic {
    pub(super) fn f32_operations() -> Option<(usize, fn())> {
        None
    }

    pub(super) fn bf16_operations() -> Option<(usize, fn())> {
        None
    }
}
