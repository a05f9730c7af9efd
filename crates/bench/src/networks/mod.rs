//! Seconds and memory of the networks, of segmentation, of whole edits and of loading, on the processor.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `settings` | what is measured |
//! | `shape` | the sizes of networks that can be measured without their weights |
//! | `random` | random weights, in memory and as a checkpoint on disk |
//! | `source` | networks from random weights or from a model |
//! | `timed` | calls, timed, with the most memory that the process had |
//! | `calls` | one call of each network; segmentation |
//! | `whole` | whole edits, and loading |
//! | `processor`, `peaks` | what the processor has, and the most that it reaches |

mod calls;
mod peaks;
mod processor;
mod random;
mod settings;
mod shape;
mod source;
mod timed;
mod whole;

pub use calls::features;
pub use peaks::{Peaks, peaks};
pub use processor::{Processor, processor};
pub use settings::{Given, Open, Settings, What};
pub use shape::Shape;
pub use timed::Row;

use crate::error::Result;

/// Measures, and calls `observe` after each part.
///
/// # Errors
///
/// What a network or a checkpoint says; [`crate::Error::Unfit`] for sizes that the model can't take.
pub fn run(settings: &Settings, given: Given, mut observe: impl FnMut(&Row)) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut done = |row: Row| {
        observe(&row);
        rows.push(row);
    };
    match settings.what {
        What::Unet => done(calls::unet(settings, &given)?),
        What::Vae => {
            calls::latents(settings, source::factor(settings, &given)?)?;
            let vae = source::vae(settings, &given)?;
            done(calls::encode(settings, &vae)?);
            done(calls::decode(settings, &vae)?);
        }
        What::Text => done(calls::text(settings, &given)?),
        What::Segment => done(calls::segment(settings)?),
        What::Edit => done(whole::edit(settings, given)?),
        What::Load => done(whole::load(settings, given)?),
    }
    Ok(rows)
}
