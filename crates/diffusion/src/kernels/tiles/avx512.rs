//! Blocks by the dot products of AVX-512-BF16. They add pairs in another order than AMX does: close, and not the same bits.
#![expect(
    unsafe_code,
    reason = "instructions that not every processor has, on unchecked lines"
)]

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_load_si512, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_storeu_ps,
};
use std::mem::transmute;

use super::block::{Block, Left, SIDE, STEP, TILE};
use super::line::Line;

/// Whether the processor has them.
pub(super) fn found() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16")
}

/// The block of a left operand and a panel.
///
/// # Safety
/// [`found`] and [`Left::fits`] must be true.
pub(super) unsafe fn product(left: &Left<'_>, panel: &[Line], out: &mut Block) {
    for (half, rows) in left.rows.into_iter().enumerate() {
        let mut first = 0;
        while first < rows {
            // SAFETY: as the caller says, for rows that the operand has.
            unsafe {
                first += match rows - first {
                    8.. => some_rows::<8>(left, (half, first), panel, out),
                    4.. => some_rows::<4>(left, (half, first), panel, out),
                    2.. => some_rows::<2>(left, (half, first), panel, out),
                    _ => some_rows::<1>(left, (half, first), panel, out),
                }
            }
        }
    }
}

/// # Safety
/// As [`product`]; rows `first` to `first + ROWS` of tile `half` must be there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn some_rows<const ROWS: usize>(
    left: &Left<'_>,
    (half, first): (usize, usize),
    panel: &[Line],
    out: &mut Block,
) -> usize {
    // SAFETY: the lines read are inside their slices, as the caller says; lines are aligned and 64 bytes long, and any bits
    // make a vector.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let mut weights = panel.as_ptr();
        for &tap in left.taps {
            let mut lines = left.lines.as_ptr().add(left.starts[half] + first + tap);
            for _ in 0..left.steps {
                for pair in 0..TILE {
                    let load = |line: *const Line| -> __m512bh {
                        transmute::<__m512i, __m512bh>(_mm512_load_si512(line.cast()))
                    };
                    let near = load(weights.add(pair));
                    let far = load(weights.add(TILE + pair));
                    for (i, [a, b]) in sums.iter_mut().enumerate() {
                        let both = lines.add(i).cast::<i32>().add(pair).read();
                        let both = transmute::<__m512i, __m512bh>(_mm512_set1_epi32(both));
                        *a = _mm512_dpbf16_ps(*a, both, near);
                        *b = _mm512_dpbf16_ps(*b, both, far);
                    }
                }
                lines = lines.wrapping_add(left.step);
                weights = weights.add(STEP);
            }
        }
        for (i, [a, b]) in sums.into_iter().enumerate() {
            let out = out.0.as_mut_ptr().add((half * TILE + first + i) * SIDE);
            _mm512_storeu_ps(out, a);
            _mm512_storeu_ps(out.add(TILE), b);
        }
    }
    ROWS
}
