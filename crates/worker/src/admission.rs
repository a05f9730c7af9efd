//! Whether the worker takes edits. The heartbeat decides; the consumer obeys.

/// Whether the worker takes edits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It does.
    #[default]
    Open,
    /// Not until the engine goes on: a call of it has stalled.
    Stalled,
    /// No more: an operator drains the worker, and it ends with the edits that it has.
    Draining,
}
