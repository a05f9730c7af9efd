//! `limekiln rooms` and `limekiln demo`.

use std::path::PathBuf;

use clap::Args;
use limekiln_rooms::Style;

use super::{ModelArgs, PresetArgs, Seed};

/// Draw furnished rooms, with true masks and instructions
///
/// For each room: the picture, the true mask of the object that its instruction is about (and of that object's colored
/// part), the picture after a perfect edit, and a line in scenes.jsonl. The same seed gives the same rooms; `eval
/// rooms` scores on these very rooms.
///
/// --style rich has cloth, wood, stripes, light from a window, soft shadows, highlights and a camera's noise; in some rooms an
/// object that touches the one in question has its color; every other input is a JPEG (4:2:0). --style second has other shapes
/// under colored lamps, light that objects throw on each other, blur by depth, fringe and leaves; nothing is trained or tuned on
/// it. Both also write the object's soft share of each pixel (matte) and the input in Display P3 (twin). The perfect edit has
/// another paint under the same light, texture, noise and compression.
#[derive(Args, Debug)]
pub(crate) struct RoomsArgs {
    /// Number of rooms to draw
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: u32,

    /// Seed that the rooms are drawn from; `random` (or -1) draws one and prints it
    #[arg(long, value_name = "N", default_value_t = Seed::Given(0), allow_negative_numbers = true)]
    pub(crate) seed: Seed,

    /// Side of the square pictures, in pixels
    #[arg(long, value_name = "PX", default_value_t = 128, value_parser = clap::value_parser!(u32).range(32..=8192))]
    pub(crate) size: u32,

    /// How rooms are drawn: plain, rich or second
    #[arg(long, value_name = "STYLE", default_value = "plain", value_parser = style)]
    pub(crate) style: Style,

    /// Folder to write to; created if missing
    #[arg(long, value_name = "DIR", default_value = "rooms")]
    pub(crate) out: PathBuf,
}

/// The style of this name.
pub(super) fn style(name: &str) -> Result<Style, String> {
    Style::ALL
        .into_iter()
        .find(|style| style.name() == name.trim())
        .ok_or_else(|| format!("no style {name:?}: there are plain, rich and second"))
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

    /// Seed that the room is drawn from; `random` (or -1) draws one and prints it
    #[arg(long, value_name = "N", default_value_t = Seed::Given(0), allow_negative_numbers = true)]
    pub(crate) room: Seed,

    /// Color that the instruction asks for
    #[arg(long, value_name = "COLOR", default_value = "red")]
    pub(crate) color: String,

    /// Seed of the noise; `random` (or -1) draws one and prints it
    #[arg(long, value_name = "N", default_value_t = Seed::Given(0), allow_negative_numbers = true)]
    pub(crate) seed: Seed,

    #[command(flatten)]
    pub(crate) preset: PresetArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}
