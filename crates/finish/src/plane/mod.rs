//! Small planes of numbers, and what is done to them: blurred, sampled, measured.

mod blur;
mod cells;
mod distance;
mod parts;

pub(crate) use blur::{blur, edge_kept};
pub(crate) use cells::Plane;
pub(crate) use distance::signed_distance;
pub(crate) use parts::parts;
