//! `limekiln edit`.

use std::path::PathBuf;

use clap::Args;

use super::{BoundsArgs, ColorArgs, FinishArgs, ModelArgs, PresetArgs, Seed};

/// Edit one picture, where the instruction means it
///
/// PNG, JPEG, WebP and TIFF are read; EXIF orientation is honoured; color profile, 16 bits, transparency and metadata
/// are kept where the output can hold them (PNG: all). With a region the result has the picture's own size and, outside
/// the region, its own pixels; without one it has the working size (see --size and --finish).
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EditArgs {
    /// The picture to edit (PNG, JPEG, WebP or TIFF); - is stdin
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,

    /// What to change, in English: "make the sofa red"
    #[arg(value_name = "INSTRUCTION")]
    pub(crate) instruction: String,

    /// Where to write the result: .png, .webp (both lossless) or .jpg; - is stdout, as PNG [default: a free name beside IMAGE:
    /// IMAGE-edited.jpg where IMAGE is a JPEG and the result has its size, else IMAGE-edited.png]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Seed of the noise; a seed gives the picture that diffusers gives for torch.Generator().manual_seed(N). `random`
    /// (or -1) draws one and prints it
    #[arg(long, value_name = "N", default_value_t = Seed::Given(0), allow_negative_numbers = true)]
    pub(crate) seed: Seed,

    /// Longest side that the model works on, in pixels, 64 to 2048: larger pictures are shrunk, smaller ones kept
    /// [default: 512, or 128 for the built-in model; 64 latents a side where that is less]
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(64..=2048))]
    pub(crate) size: Option<u32>,

    /// Edit here instead of finding the region: a picture of IMAGE's size, white where the edit may act
    #[arg(long, value_name = "PNG")]
    pub(crate) mask: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) color: ColorArgs,

    #[command(flatten)]
    pub(crate) finish: FinishArgs,

    /// Leave EXIF, XMP, comments and resolution out of the result; its color profile stays, for without it the colors would be others
    #[arg(long)]
    pub(crate) strip_metadata: bool,

    /// Also write roi.png, segments.png, attention.png, overlay.png, matte.png, report.json and latents.safetensors to DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) artifacts: Option<PathBuf>,

    /// Print the report as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) bounds: BoundsArgs,

    #[command(flatten)]
    pub(crate) preset: PresetArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  limekiln edit room.png \"make the sofa red\"
      edit with the built-in model; writes room-edited.png
  limekiln edit photo.jpg \"make the sofa red\" --model hf:timbrooks/instruct-pix2pix -o red.png
      a photograph, with the original checkpoint; everything but the sofa keeps its pixels
  limekiln edit photo.jpg \"make it snowy\" --model ./instruct-pix2pix --preset base --text-scale 7.5
      plain InstructPix2Pix, for edits of the whole picture
  limekiln edit room.png \"make the sofa red\" --mask sofa.png
      edit inside your own mask
  limekiln edit room.png \"make the sofa teal\" --preset recolor
      the sofa's main material ends at that color, at full size; nothing is denoised
  limekiln edit suit.jpg \"recolor it\" --preset recolor --mask about.png --matte --color \"#1F6F8B\"
      a photograph: the mask says roughly where, the picture says where the object ends; no model runs
  limekiln edit room.png \"make the sofa red\" --artifacts stages --json
      keep every stage, and print the report";
