//! A color that is asked for: written as a value, named in words, shown by a swatch, or listed in a palette.

mod names;
mod palette_file;
mod parse;
mod swatch;
mod value;
mod words;

pub use palette_file::Palette;
pub use swatch::swatch;
pub use value::Color;
pub use words::{Asked, asked, object_words};
