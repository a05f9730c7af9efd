//! Procedurally drawn furnished rooms: scenes with true masks, edit pairs with instructions, and the RoomBench score.
//!
//! Everything follows from `(domain, seed, index)`: the same numbers give the same scene, pair and instruction on every
//! platform, and training and benchmark draw from streams that never meet.
//!
//! # Layout
//!
//! - [`rng`]: the portable random stream that everything is drawn from
//! - [`color`]: the palette
//! - [`object`]: what furnishes a room, and where it can stand
//! - [`scene`]: a furnished room
//! - `furniture`: the shapes that each object is made of
//! - [`draw`](mod@draw): the picture of a scene and the true masks of its objects
//! - [`task`]: the kinds of edits and how often each is asked for
//! - [`instruction`]: how an edit is worded
//! - [`pair`]: a scene, its edited twin and the instruction between them
//! - [`score`]: what RoomBench measures
//! - [`model`]: the built-in checkpoint, embedded

pub mod color;
pub mod draw;
mod furniture;
pub mod instruction;
pub mod model;
pub mod object;
pub mod pair;
pub mod rng;
pub mod scene;
pub mod score;
pub mod task;

pub use color::{Color, Rgb};
pub use draw::{Part, draw, mask};
pub use instruction::Instruction;
pub use model::{SIDE, WINDOW_LEAST, checkpoint_files};
pub use object::{Object, Placement};
pub use pair::{Pair, Target, bench_pair, train_pair};
pub use rng::{Domain, Rng};
pub use scene::{Item, Scene};
pub use task::{PairOptions, Task, TaskMix};
