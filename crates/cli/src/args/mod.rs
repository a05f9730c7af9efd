//! The command line as clap parses it. Each argument is checked by itself here, and against the others later.
//!
//! One `clap::Args` struct per concern; [`crate::settings`] turns them into validated settings, once.

mod bench;
mod bounds;
mod color;
mod edit;
mod eval;
mod finish;
mod fleet;
mod model;
mod number;
mod preset;
mod rooms;
mod verify;

pub(crate) use bench::{
    EditedArgs, FinishingArgs, LoadArgs, NetworkArgs, SegmentedArgs, ShapeArg, TextArgs,
    TimingArgs, UnetArgs, VaeArgs,
};
pub(crate) use bounds::BoundsArgs;
pub(crate) use color::ColorArgs;
pub(crate) use edit::EditArgs;
pub(crate) use eval::EvalRoomsArgs;
pub(crate) use finish::FinishArgs;
pub(crate) use fleet::*;
pub(crate) use model::ModelArgs;
pub(crate) use number::Seed;
pub(crate) use preset::{Field, PresetArgs};
pub(crate) use rooms::{DemoArgs, RoomsArgs};
pub(crate) use verify::VerifyArgs;

use clap::{Parser, Subcommand};

/// The exit status for a command line that cannot be right.
pub(crate) const USAGE: u8 = 2;

/// Edit a picture where the instruction means it, and leave the rest alone.
///
/// Limekiln runs InstructPix2Pix checkpoints with LIME: it finds the region that an instruction is about, from the
/// model's own features and attention, and keeps the edit inside it. A small model that knows drawn rooms is built
/// in, so that every command works without a download.
#[derive(Debug, Parser)]
#[command(name = "limekiln", version, max_term_width = 110, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  limekiln demo                          draw a room, edit it, show every stage
  limekiln rooms --count 4 --out rooms   draw rooms, with masks and instructions
  limekiln edit rooms/00000-input.png \"make the sofa red\"
  limekiln edit photo.jpg \"make the sofa red\" --model hf:timbrooks/instruct-pix2pix
  limekiln verify photo.jpg red.jpg matte.png   check that all but the edit is the photograph's own
  limekiln eval rooms --count 20         score the presets on unseen rooms
  limekiln dev                           the whole fleet in one process: an HTTP API with queue and sessions
  limekiln submit room.png \"make the sofa red\" --key lk_...   an edit through that API
  limekiln segments room.png             what to name where the machine edits the wrong thing
  limekiln session new room.png          edits that build on each other, with undo and redo
  limekiln batch submit products.csv     a whole catalog: every picture in every color

The fleet, each as many times as you like: `migrate` once, then `serve`, `coordinate`, `work`; `doctor` checks.

Exit status: 0 done, 1 failed, 2 the command line is wrong.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Edit(Box<EditArgs>),
    Verify(VerifyArgs),
    Rooms(RoomsArgs),
    Demo(DemoArgs),
    /// Score presets
    #[command(subcommand)]
    Eval(Eval),
    #[cfg(feature = "embedded")]
    Dev(Box<DevArgs>),
    Submit(Box<SubmitArgs>),
    Session(Box<SessionArgs>),
    Segments(Box<SegmentsArgs>),
    Batch(Box<BatchArgs>),
    Serve(Box<ServeArgs>),
    Coordinate(Box<CoordinateArgs>),
    Work(Box<WorkArgs>),
    Drain(Box<DrainArgs>),
    Migrate(Box<MigrateArgs>),
    Keys(Box<KeysArgs>),
    Tenants(Box<TenantsArgs>),
    Doctor(Box<DoctorArgs>),
    /// Measure the fleet or the networks
    #[command(subcommand)]
    Bench(Bench),
}

/// The parts of `bench`.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    Queue(Box<QueueArgs>),
    Fairness(Box<FairnessArgs>),
    Tables(Box<TablesArgs>),
    Company(Box<CompanyArgs>),
    /// Measure one call of the U-Net
    Unet(UnetArgs),
    /// Measure the VAE: a picture into latents, and latents into a picture
    Vae(VaeArgs),
    /// Measure one call of the text encoder
    Text(TextArgs),
    /// Measure a whole edit of a drawn room
    Edit(EditedArgs),
    /// Measure the segmentation of a picture's features
    Segment(SegmentedArgs),
    /// Measure finishing: an object found and recolored, and an edit carried over, by the picture's size
    Finish(FinishingArgs),
    /// Measure loading: a checkpoint's fingerprint, and its networks built
    Load(LoadArgs),
}

/// The parts of `eval`.
#[derive(Debug, Subcommand)]
pub(crate) enum Eval {
    Rooms(EvalRoomsArgs),
}

/// A clap error as one line: its first paragraph, any tip, and where to read on.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut line = String::new();
    let mut paragraph = 0;
    for part in text.lines().map(str::trim) {
        if part.starts_with("Usage:") || part.starts_with("For more information") {
            break;
        }
        if part.is_empty() {
            paragraph += 1;
        } else if paragraph == 0 || part.starts_with("tip:") {
            let gap = if line.is_empty() {
                ""
            } else if part.starts_with("tip:") {
                "; "
            } else {
                " "
            };
            line.push_str(gap);
            line.push_str(part);
        }
    }
    line + " (--help explains)"
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn errors_become_one_line() {
        for line in [
            "limekiln edit a.png",
            "limekiln edit a.png b --size 9999",
            "limekiln edti",
            "limekiln edit a b --pre x",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            let text = one_line(&error);
            assert!(
                text.starts_with("error: ") && !text.contains('\n'),
                "{text}"
            );
        }
    }
}
