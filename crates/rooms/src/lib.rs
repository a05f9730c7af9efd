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
//! - [`room`]: a room and its edited twin in one of three styles, as pictures of any size
//! - `rich`, `second`: the styles that are not flat
//! - `canvas`, `plane`, `linear`, `noise`: layers of light, values and noise by place, that both are painted with
//! - [`film`]: from light to pixels: a camera's curve and noise, JPEG, Display P3
//! - [`task`]: the kinds of edits and how often each is asked for
//! - [`instruction`]: how an edit is worded
//! - [`pair`]: a scene, its edited twin and the instruction between them
//! - [`score`]: what RoomBench measures
//! - [`model`]: the built-in checkpoint, embedded

mod canvas;
pub mod color;
pub mod draw;
pub mod film;
mod furniture;
pub mod instruction;
mod linear;
pub mod model;
mod noise;
pub mod object;
pub mod pair;
mod plane;
mod rich;
pub mod rng;
pub mod room;
pub mod scene;
pub mod score;
mod second;
pub mod task;

pub use color::{Color, Rgb};
pub use draw::{Part, draw, mask};
pub use instruction::Instruction;
pub use model::{SIDE, WINDOW_LEAST, checkpoint_files};
pub use object::{Object, Placement};
pub use pair::{Pair, Target, bench_pair, bench_pair_of, train_pair};
pub use rng::{Domain, Rng};
pub use room::{Drawn, Room, Shots, Style, bench_room, bench_room_of, train_room};
pub use scene::{Item, Scene};
pub use task::{PairOptions, Task, TaskMix};
