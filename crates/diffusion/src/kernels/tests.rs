//! The processor's kernels against candle's own operations.

use std::cell::Cell;

thread_local! {
    /// Makes this thread build and run layers as on a device without kernels of its own.
    pub(super) static FALL_BACK: Cell<bool> = const { Cell::new(false) };
}
