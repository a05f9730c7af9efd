//! Pictures as their files hold them: colors, depth, metadata, and files as people really have them.
#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on should stop where it is"
)]

mod colors;
mod files;
mod metadata;
mod support;
