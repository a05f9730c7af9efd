//! Finishing: what pure image code makes of a rough region and a color. Knows no model.
//!
//! A region says *which* object; the full-size picture says *where it ends*. [`Object::find`] learns the object's materials,
//! [`Object::mattes`] gives the soft, full-size matte of those that are meant, and [`recolor`] exchanges their paint under
//! the same light. Object and mattes are found once for all colors that a picture is given.
//!
//! Four things have four names: a *region* (RoI) is rough and says which object; a *matte* is soft, full-size and says where
//! it ends; a *window* is a crop of latents; a *close-up* is a crop of pixels that is edited again.
//!
//! `limekiln bench finish` gives seconds and memory, `cargo run --release --workspace --example recolor` recolors files.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`color`] | the color asked for: values, names, an instruction's words, swatches, palettes |
//! | [`mod@gamut`] | what a picture cannot show is brought to what it can |
//! | `light`, `pixels`, `coded` | full-size pictures in their own space and depth; linear light, and steps that look even |
//! | `region`, `crop` | the rough region, at any size; the picture around it, small enough to decide in |
//! | `plane` | small planes of numbers |
//! | `object` | the object: materials, and which cells are theirs; how sure |
//! | `spread` | how much colors vary on both sides of an edge |
//! | `matte`, `kept` | the full-size matte, and both colors of mixed pixels; as bytes |
//! | [`mod@recolor`] | one paint for another |
//! | [`carry`] | an edit made at a model's size, carried over to the full-size picture |

pub mod carry;
mod coded;
pub mod color;
mod crop;
mod error;
pub mod gamut;
mod kept;
mod light;
mod matte;
mod object;
mod pixels;
mod plane;
pub mod recolor;
mod region;
mod spread;

pub use carry::{Carried, Carry, Fit, Rendered};
pub use color::Color;
pub use error::{Error, Result};
pub use light::Light;
pub use matte::Matte;
pub use object::{Choice, Evidence, Material, Object};
pub use pixels::{Pixels, Samples};
pub use recolor::{Painted, Report, recolor};
pub use region::Region;
