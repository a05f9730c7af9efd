//! `limekiln bench` of the networks.

use clap::{Args, ValueEnum};
use limekiln_lime::Preset;

/// Sizes of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShapeArg {
    /// Stable Diffusion 1.5, as InstructPix2Pix has it, with random weights
    Sd15,
    /// The built-in model
    Rooms,
}

/// What all of them take.
#[derive(Args, Clone, Debug)]
pub(crate) struct NetworkArgs {
    /// Sizes of the networks
    #[arg(long, value_name = "SHAPE", default_value = "sd15")]
    pub(crate) shape: ShapeArg,

    /// A checkpoint in place of a shape: a folder, a single file or hf:owner/name[@revision]
    #[arg(long, value_name = "MODEL", conflicts_with = "shape")]
    pub(crate) model: Option<String>,

    /// Number type of the networks: f32, bf16 or f16
    #[arg(long, value_name = "DTYPE", default_value = "f32")]
    pub(crate) dtype: String,

    #[command(flatten)]
    pub(crate) timing: TimingArgs,
}

/// How it is timed and told, whatever it is.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct TimingArgs {
    /// Threads to compute on [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Timed calls; one more runs first
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) calls: u16,

    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The side of a picture.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct SizeArgs {
    /// Side of the square picture in pixels [default: 512, of the built-in model 128]
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u16).range(1..=8192))]
    pub(crate) size: Option<u16>,
}

/// Where the time goes.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ProfileArgs {
    /// Split the last call by kinds of layers and sizes of their maps, beside the processor's measured peaks
    #[arg(long)]
    pub(crate) profile: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct UnetArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Lanes of the call: rows of its batch
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) lanes: u16,
    #[command(flatten)]
    pub(crate) size: SizeArgs,
    #[command(flatten)]
    pub(crate) profile: ProfileArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct VaeArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Pictures at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) lanes: u16,
    #[command(flatten)]
    pub(crate) size: SizeArgs,
    #[command(flatten)]
    pub(crate) profile: ProfileArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TextArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Texts at once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) lanes: u16,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct EditedArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) size: SizeArgs,
    /// Preset of the edit
    #[arg(long, value_name = "PRESET", default_value = "fast", value_parser = Preset::NAMES)]
    pub(crate) preset: String,
    #[command(flatten)]
    pub(crate) profile: ProfileArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct SegmentedArgs {
    /// Sizes of the network that the features are of
    #[arg(long, value_name = "SHAPE", default_value = "sd15")]
    pub(crate) shape: ShapeArg,
    #[command(flatten)]
    pub(crate) size: SizeArgs,
    /// Preset whose clustering it is
    #[arg(long, value_name = "PRESET", default_value = "fast", value_parser = Preset::NAMES)]
    pub(crate) preset: String,
    #[command(flatten)]
    pub(crate) timing: TimingArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// Seconds and memory beside the pictures' sizes.
#[derive(Args, Clone, Debug)]
pub(crate) struct FinishingArgs {
    /// Sizes of the picture, in millions of pixels
    #[arg(long, value_name = "MP,MP", value_delimiter = ',', default_value = "1,4,12,48", value_parser = megapixels)]
    pub(crate) megapixels: Vec<f64>,

    /// Threads to compute on [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn megapixels(text: &str) -> Result<f64, String> {
    let size: f64 = text
        .trim()
        .parse()
        .map_err(|_| "a number is wanted, as in 12".to_owned())?;
    if (0.1..=100.0).contains(&size) {
        Ok(size)
    } else {
        Err("between 0.1 and 100 million pixels".to_owned())
    }
}
