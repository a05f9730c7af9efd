//! Benchmarks of editing. Knows no command line and no fleet.
//!
//! # Layout
//!
//! | module | what is in it |
//! |---|---|
//! | [`rooms`] | RoomBench: rows and rooms in, a report out |
//! | `row` | [`Row`]: what is scored |
//! | `full` | a room at its full size: finished, and scored beside the true edit |
//! | [`fidelity`] | what a finished picture is worth beside a perfect edit: definitions and code |
//! | `finished` | [`Finished`]: these scores as means and as a table |
//! | `scene` | [`Scene`]: one room, and one edit of it scored |
//! | `table` | [`Summary`]: scores as means, and as a table to read |
//! | `sweep` | [`Sweep`]: change outside at equal color success |
//! | `paired` | [`Paired`]: rows compared room by room |
//! | `stability` | [`Stability`]: how much regions move with seed and surroundings |
//! | `reused` | what further edits of a picture cost beside the first |
//! | `stats` | [`Mean`]: means with their standard errors, by resampling where there is no formula; curves |
//! | `text` | cells in columns |
//! | `parallel` | many edits side by side, one thread each |
//! | `error` | [`Error`] |

mod error;
pub mod fidelity;
mod finished;
mod full;
pub mod paired;
mod parallel;
pub mod reused;
pub mod rooms;
mod row;
mod scene;
pub mod stability;
mod stats;
mod sweep;
mod table;
mod text;

pub use error::{Error, Result};
pub use finished::{Finished, FinishedLine, Furthest};
pub use full::FullScore;
pub use paired::Paired;
pub use reused::Reused;
pub use row::{Given, Row};
pub use scene::{Scene, Score};
pub use stability::Stability;
pub use stats::Mean;
pub use sweep::Sweep;
pub use table::{Line, Summary};
