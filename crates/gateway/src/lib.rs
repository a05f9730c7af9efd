//! # Layout
//!
//! The HTTP API of Limekiln: the coordinator's face.
//!
//! | module | purpose |
//! |---|---|
//! | [`settings`] | what a gateway allows, and for how long |
//! | [`state`] | what every request works with |
//! | [`serve`] | connections: header timeouts, their number, an orderly end |

pub mod serve;
pub mod settings;
pub mod state;

pub use serve::{Error, serve};
pub use settings::{Downloads, Limits, Settings, SpecCheck, Timeouts};
pub use state::{Services, State};

/// The whole API. [`serve`] serves it with bounds on connections as well; tests may call it as a service.
pub fn router(_state: State) -> axum::Router {
    todo!()
}
