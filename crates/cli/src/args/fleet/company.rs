//! `limekiln bench company`.

use clap::Args;
use limekiln_lime::Preset;

use super::TelemetryArgs;
use crate::args::ModelArgs;

/// Measure edits a second with several of them sharing the network's calls
///
/// Edits drawn rooms on the engine of a worker, in this process and without any service; says how many of the network's calls were
/// shared, how busy it was, how much memory the process took, and whether every result is the same as of the first run, to the byte.
#[derive(Args, Debug)]
pub(crate) struct CompanyArgs {
    /// Edits in flight, one run for each
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "1,2,4,8", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) in_flight: Vec<u16>,

    /// Edits of each run
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) edits: u32,

    /// Bound on the longer side of the pictures in pixels [default: the model's own]
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(64..=2048))]
    pub(crate) size: Option<u32>,

    /// Preset of every edit
    #[arg(long, value_name = "PRESET", default_value = "fast", value_parser = Preset::NAMES)]
    pub(crate) preset: String,

    /// Steps of the edit [default: the preset's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) steps: Option<u32>,

    /// Edit whole pictures, also where the preset would edit in a window
    #[arg(long)]
    pub(crate) no_windows: bool,

    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}
