//! The body of `POST /v1/edits` (`edit`, `region`), and what it must be before anything looks its ids up (`check`).

mod check;
mod edit;
mod region;

pub(crate) use check::control_free;
pub use check::{INSTRUCTION_CHARS_MAX, SEED_MAX};
pub use edit::EditRequest;
pub use region::{Region, RegionPart};
