//! Where an edit stands.

use serde::{Deserialize, Serialize};

/// What an edit is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It finds the region.
    Locate,
    /// It looks at the full-size picture whether the object is sure enough to be recolored.
    Find,
    /// It edits in the region.
    Edit,
    /// All steps are done; [`Edit::finish`] decodes, where anything was edited.
    Decode,
}

/// Where an edit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The stage that the next step belongs to.
    pub stage: Stage,
    /// How many of this stage's steps are done.
    pub step: usize,
    /// How many steps this stage has.
    pub steps: usize,
    /// How many of the whole edit's steps are done.
    pub done: usize,
    /// How many steps the whole edit has.
    pub total: usize,
}
