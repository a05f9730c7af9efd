//! Every number of the method as data. A preset is a row of the table in the method's description; no code asks for its name.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `fields` | the fields |
//! | `window` | the steps in which something is done, whatever the length of the run |
//! | `check` | whether a preset's fields make sense |
//! | `table` | the presets, by name |
//! | `change` | a preset with some fields replaced |

mod change;
mod check;
mod fields;
mod table;
mod window;

pub use fields::{
    Apply, Biased, Blend, Corners, EditWindow, Evidence, FeatureSource, Guide, Levels, Locate,
    LocateFrom, MapSettings, Mode, Parts, Preset, Recolor, Regularise, Rule, Segmentation, Select,
    Sizes, Tokens,
};
pub use window::Window;
