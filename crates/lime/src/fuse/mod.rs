//! Feature maps of many sizes as one stack on a square grid, L2-normalised per pixel, that is never built.
//!
//! Enlarging is linear, `U(F) c = U(F c)`: products with centres need only small maps at each layer's own size, and sums
//! over grid pixels are the adjoint of `U` applied to weights, times the features at their own size. Only the norm is not
//! linear: it takes the products of neighbouring cells. For 512x512 pixels at Stable Diffusion's widths the stack would be
//! 2.9 GB; this holds the features themselves (46 MB) and a few maps. Exact up to rounding, and the same bits whatever the
//! number of threads: work is cut in fixed pieces and summed in their order.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `axis` | bilinear resizing along one axis |
//! | `group` | the layers of one size: products, sums and their adjoint |
//! | `norm` | the norm of every pixel of the stack |
//! | `stack` | [`Fused`] |

mod axis;
mod group;
mod norm;
mod stack;

pub use axis::{Axis, Tap, upsample};
pub use group::Layer;
pub use stack::Fused;

#[cfg(test)]
pub(crate) mod tests;
