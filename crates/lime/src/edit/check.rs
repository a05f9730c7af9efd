//! The window of an edit, and what is known of it.

use candle_core::Tensor;

use crate::window::Rect;

/// The window of an edit, and how far its check is.
#[derive(Clone, Debug)]
pub(crate) struct Windowed {
    pub(crate) rect: Rect,
    pub(crate) check: Check,
}

/// Whether a window predicts what the whole picture does.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// Nothing was computed yet.
    Open,
    /// The first guided prediction in the window, f32 `[1, channels, h, w]`; that of the whole picture is next.
    Predicted(Tensor),
    /// By how much they differ inside the region, as a share of the whole picture's prediction there.
    Done(f64),
}
