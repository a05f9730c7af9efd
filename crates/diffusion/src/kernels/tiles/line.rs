//! Sixty-four bytes of bf16: what a row of a tile holds.

use std::cell::RefCell;

use half::bf16;

/// Values of a line.
pub(super) const LINE: usize = 32;

/// A row of a tile. Aligned, since a tile's rows that straddle two lines of the cache take six times as long to load.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [bf16; LINE]);

impl Line {
    /// Nothing but zeros.
    pub(super) const ZERO: Self = Self([bf16::ZERO; LINE]);
}

/// The same number in f32: bf16 is its upper half.
#[inline(always)]
pub(super) fn wide(x: bf16) -> f32 {
    f32::from_bits(u32::from(x.to_bits()) << 16)
}

/// Rounds to the nearest, ties to even, in a way that compilers turn into vectors.
#[inline(always)]
pub(super) fn narrow(x: f32) -> bf16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    let bits = if x.is_nan() {
        bits | 0x40_0000
    } else {
        rounded
    };
    bf16::from_bits((bits >> 16) as u16)
}

/// A buffer that its thread uses again and again; its content is whatever was left there.
pub(super) fn with_lines<T>(len: usize, f: impl FnOnce(&mut [Line]) -> T) -> T {
    thread_local!(static LINES: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) });
    LINES.with_borrow_mut(|lines| {
        if lines.len() < len {
            lines.resize(len, Line::ZERO);
        }
        f(&mut lines[..len])
    })
}
