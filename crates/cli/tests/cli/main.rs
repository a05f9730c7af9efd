//! The built `limekiln`, driven as people drive it. Small random checkpoints of `tests/reference/` keep it fast.

#![expect(clippy::unwrap_used, reason = "a failure is the test's answer")]

mod bad_input;
mod context;
mod edits;
mod eval;
mod files;
mod pictures;
mod pipes;
mod recolor;
mod reference;
mod rooms;
mod services;
mod settings;
mod verify;
