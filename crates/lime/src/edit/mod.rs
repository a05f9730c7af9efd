//! One edit as a state machine: locate the region, edit in it (or see that the object can be recolored), decode. Between any two steps it can be saved, and goes on to
//! the same bytes.
//!
//! A step is [`Edit::inputs`], one U-Net call, [`Edit::advance`]. [`Edit::step`] does all three; a fleet stacks the inputs
//! of many edits into one [`call`], and ends the step of each by [`Edit::end`]. `inputs` changes nothing, so a failed call can be
//! tried again.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `request`, `stage` | what is asked for; where an edit stands |
//! | `setup` | what an edit is computed from and never changes |
//! | `reads` | which steps of stage 1 are read, and for what |
//! | `machine` | [`Edit`]: made, resumed, asked how far it is |
//! | `locate`, `apply` | what a step of stage 1 and of stage 2 does with the U-Net's output |
//! | `reading` | stage 1 in one call, on the picture's own latents |
//! | `check` | an edit's window, and whether it predicts what the whole picture does |
//! | `windowed` | stage 2 in a window: whether, and what its predictions become |
//! | `judge` | whether the object is sure enough to be recolored in place of stage 2 |
//! | `inputs`, `step` | what a step hands to the U-Net; one step |
//! | `company` | one U-Net call for several edits |
//! | `finish`, `reported` | from latents to a picture and its report |
//! | `work` | how much the U-Net computed |

mod apply;
mod check;
mod company;
mod finish;
mod inputs;
mod judge;
mod locate;
mod machine;
mod reading;
mod reads;
mod reported;
mod request;
mod setup;
mod stage;
mod step;
mod windowed;
mod work;

pub(crate) use check::{Check, Windowed};
pub use company::{Answer, Shape, call};
pub use finish::{Decoded, Outcome};
pub use inputs::Inputs;
pub(crate) use judge::Judged;
pub use machine::Edit;
pub use request::Request;
pub(crate) use setup::Setup;
pub use stage::{Progress, Stage};
