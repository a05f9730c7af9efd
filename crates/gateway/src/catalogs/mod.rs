//! `/v1/catalogs`: many edits asked for at once.
//!
//! `read` makes and shows catalogs, `control` pauses, cancels and tries again, `rows` takes rows and shows them, `request` makes edit
//! requests of them and `expand` what is stored, whose `bases` many have in common, `decide` decides on those that ended, `results` writes the manifest of results,
//! `events` is the stream of progress, `rates` tells how long edits take.

mod bases;
pub(crate) mod control;
pub(crate) mod decide;
pub(crate) mod events;
mod expand;
pub(crate) mod rates;
pub(crate) mod read;
mod request;
pub(crate) mod results;
pub(crate) mod rows;

pub(crate) use expand::Expander;

use crate::problem::{Problem, ProblemCode};

fn not_found() -> Problem {
    Problem::plain(ProblemCode::CatalogNotFound)
}
