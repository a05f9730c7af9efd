//! One budget for what a process holds of its requests: whoever needs much memory takes a share before it does.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `budget` | [`Budget`], [`Share`] |
//! | `system` | what the machine or its container allows, what the process has and had, and giving back what is free |

mod budget;
mod system;

pub use budget::{Budget, Share, TooLarge, mib};
pub use system::{available, give_back, give_back_by, peak, peak_forget, resident};
