//! `limekiln segments`.

use std::path::PathBuf;

use clap::Args;
use limekiln_jobs::SessionId;

use super::GatewayArgs;

/// List a picture's segments, to edit by
///
/// For where the machine finds the wrong thing: `submit` and `session edit` take --segments with the numbers that this lists. They are
/// made once for each picture.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("of").required(true).args(["image", "session"]))]
pub(crate) struct SegmentsArgs {
    /// The picture (PNG, JPEG, WebP or TIFF); - is stdin
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<PathBuf>,

    /// Of the picture at this session's head
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<SessionId>,

    /// Also write them as a picture of 16 bits whose pixels are the numbers, a pixel for each cell of the grid
    #[arg(short, long, value_name = "PNG")]
    pub(crate) output: Option<PathBuf>,

    /// Make them anew, as after another model has come
    #[arg(long)]
    pub(crate) anew: bool,

    /// Print them as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

const EXAMPLES: &str = "\
Examples:
  limekiln segments room.png
      number, share of the picture, rectangle around it, color
  limekiln submit room.png \"make the sofa red\" --segments 3,7
  limekiln session edit 01939e0c-... \"make it blue\" --point 120,340";
