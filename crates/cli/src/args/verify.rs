//! `limekiln verify`.

use std::path::PathBuf;

use clap::Args;

/// Check that a result is its input's own outside the edit, from the files alone
///
/// A result without loss is compared pixel by pixel, at full depth, transparency too. A JPEG of a JPEG is compared by the
/// coefficients of all blocks that the matte does not reach. Both sides are turned upright before.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct VerifyArgs {
    /// The picture that was edited
    #[arg(value_name = "INPUT")]
    pub(crate) input: PathBuf,

    /// The edit's result
    #[arg(value_name = "RESULT")]
    pub(crate) result: PathBuf,

    /// Where the edit is, of the same size: pixels that are not black. `edit --artifacts` and `submit --artifacts` write it as
    /// matte.png. Of several, for edits one after another, a pixel of any counts
    #[arg(value_name = "MATTE", required = true, num_args = 1..)]
    pub(crate) mattes: Vec<PathBuf>,

    /// Print what was found as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

const HELP: &str = "\
Examples:
  limekiln edit photo.jpg \"make the sofa red\" --finish paste -o red.jpg --artifacts stages
  limekiln verify photo.jpg red.jpg stages/matte.png

Exit status: 0 everything outside is the input's own, 1 it is not, 2 a file can't be read.";
