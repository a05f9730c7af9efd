//! `limekiln rooms` and `limekiln demo`.

use std::path::PathBuf;

use clap::Args;

use super::{ModelArgs, PresetArgs};

/// Draw furnished rooms, with true masks and instructions
///
/// For each room: the picture, the true mask of the object that its instruction is about (and of that object's colored
/// part), the picture after a perfect edit, and a line in scenes.jsonl. The same seed gives the same rooms; `eval
/// rooms` scores on these very rooms.
#[derive(Args, Debug)]
pub(crate) struct RoomsArgs {
    /// Number of rooms to draw
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: u32,

    /// Seed that the rooms are drawn from
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) seed: u64,

    /// Side of the square pictures, in pixels
    #[arg(long, value_name = "PX", default_value_t = 128, value_parser = clap::value_parser!(u32).range(32..=2048))]
    pub(crate) size: u32,

    /// Folder to write to; created if missing
    #[arg(long, value_name = "DIR", default_value = "rooms")]
    pub(crate) out: PathBuf,
}

/// Draw a room, recolor its sofa, and leave one picture that shows every stage
///
/// The sofa is recolored twice: by plain InstructPix2Pix (`base`) and by LIME with the preset asked for. The picture
/// shows the input, its segments, the attention, the region found, and both results.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Where to write the picture (.png, .jpg or .webp)
    #[arg(short, long, value_name = "FILE", default_value = "limekiln-demo.png")]
    pub(crate) output: PathBuf,

    /// Seed that the room is drawn from
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) room: u64,

    /// Color that the instruction asks for
    #[arg(long, value_name = "COLOR", default_value = "red")]
    pub(crate) color: String,

    /// Seed of the noise
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) seed: u64,

    #[command(flatten)]
    pub(crate) preset: PresetArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}
