//! How the model's picture becomes the result.

use std::str::FromStr;

use clap::Args;
use limekiln_jobs::{Carry, Finish};

/// Of `edit` and of `submit`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FinishArgs {
    /// How the model's picture becomes the result [default: detail where the edit has a region, else none]
    ///
    /// none    the model's own picture, at the size that it worked at
    /// detail  IMAGE at its full size with the model's change of color or light carried over to its object: fabric, grain and
    ///         highlights stay. Where the edit is no such change, the model's picture is enlarged and joined where it changed
    ///         something. Everything else is IMAGE's own pixels
    /// paste   IMAGE at its full size with the model's picture, enlarged, laid over the region
    ///
    /// An edit has a region where its preset looks for one or --mask gives it. What is recolored has IMAGE's size, and outside
    /// the object IMAGE's own pixels; --preset recolor takes no finish.
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "FINISH", value_parser = Finish::from_str)]
    pub(crate) finish: Option<Finish>,

    /// Which way --finish detail takes [default: auto]
    ///
    /// auto      the one that the words and the edit itself speak for; the report says which
    /// color     carries the change of color or light over, however well that explains the edit
    /// enlarged  enlarges the model's picture, and joins it where it changed something
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "WAY", value_parser = Carry::from_str)]
    pub(crate) carry: Option<Carry>,

    /// Deprecated: the same as --finish paste
    #[arg(long)]
    pub(crate) keep_outside: bool,
}
