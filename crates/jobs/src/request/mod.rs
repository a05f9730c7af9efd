//! The body of `POST /v1/edits` (`edit`), and what it must be before anything looks its ids up (`check`).

mod check;
mod edit;

pub(crate) use check::control_free;
pub use check::{INSTRUCTION_CHARS_MAX, SEED_MAX};
pub use edit::EditRequest;
