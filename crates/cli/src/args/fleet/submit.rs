//! `limekiln submit`.

use std::path::PathBuf;
use std::str::FromStr as _;

use clap::Args;
use limekiln_jobs::{Reuse, SessionId};
use url::Url;

use super::RegionArgs;
use crate::args::{ColorArgs, FinishArgs, PresetArgs, Seed};

/// Send an edit to a gateway, watch it, and fetch the result
///
/// Uploads IMAGE, submits the edit, shows its progress, and writes the result. Interrupted, it leaves the edit
/// running and prints its id.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SubmitArgs {
    /// The picture to edit (PNG, JPEG, WebP or TIFF); - is stdin
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,

    /// Start this session from IMAGE, or go on from its picture where that is IMAGE: `limekiln session` shows it
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<SessionId>,

    #[command(flatten)]
    pub(crate) request: RequestArgs,
}

/// An edit that is sent to a gateway. Of `submit` and of `session edit`.
#[derive(Args, Debug)]
pub(crate) struct RequestArgs {
    /// What to change, in English: "make the sofa red"
    #[arg(value_name = "INSTRUCTION")]
    pub(crate) instruction: String,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,

    /// Where to write the result: .png, .webp (both lossless) or .jpg; - is stdout, as PNG [default: a free name beside IMAGE:
    /// IMAGE-edited.jpg where IMAGE is a JPEG and the result has its size, else IMAGE-edited.png; of a turn turn-edited.png]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Also write roi.png, segments.png, attention.png, overlay.png, matte.png and report.json to DIR, as far as the edit has them
    #[arg(long, value_name = "DIR")]
    pub(crate) artifacts: Option<PathBuf>,

    /// Seed of the noise; `random` (or -1) draws one and prints it
    #[arg(long, value_name = "N", default_value_t = Seed::Given(0), allow_negative_numbers = true)]
    pub(crate) seed: Seed,

    /// Longest side that the model works on, in pixels, 64 to 2048: larger pictures are shrunk, smaller ones kept
    /// [default: the worker's]
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(64..=2048))]
    pub(crate) size: Option<u32>,

    /// Edit here instead of finding the region: a picture of IMAGE's size, white where the edit may act
    #[arg(long, value_name = "PNG")]
    pub(crate) mask: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) region: RegionArgs,

    #[command(flatten)]
    pub(crate) color: ColorArgs,

    #[command(flatten)]
    pub(crate) finish: FinishArgs,

    /// Leave EXIF, XMP, comments and resolution out of the result; its color profile stays, for without it the colors would be others
    #[arg(long)]
    pub(crate) strip_metadata: bool,

    /// How much to take over of what earlier edits computed [default: exact]
    ///
    /// exact   what is the same to the byte: a picture's latents and segments, and the region where the instruction is the same
    /// object  besides, the region of an earlier edit of IMAGE whose instruction asks for another color in the same words
    /// none    nothing, and nothing is kept for others
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "WHAT", value_parser = Reuse::from_str)]
    pub(crate) reuse: Option<Reuse>,

    /// The model, by the name that workers serve it as [default: the gateway's]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) served_as: Option<String>,

    /// Let interactive edits go first: submit in the class `bulk`
    #[arg(long)]
    pub(crate) bulk: bool,

    /// Print the edit's id and exit without waiting for the result
    #[arg(long)]
    pub(crate) detach: bool,

    /// Print the edit as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) preset: PresetArgs,
}

/// Where the gateway is, and who asks.
#[derive(Args, Debug)]
pub(crate) struct GatewayArgs {
    /// Address of the gateway
    #[arg(
        long,
        value_name = "URL",
        env = "LIMEKILN_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) url: Url,

    /// The API key, as `limekiln keys create` or `limekiln dev` printed it
    #[arg(long, value_name = "KEY", env = "LIMEKILN_KEY", hide_env_values = true)]
    pub(crate) key: String,
}

const EXAMPLES: &str = "\
Examples:
  limekiln submit room.png \"make the sofa red\" --key lk_...
      against a gateway on this machine; writes room-edited.png
  limekiln submit room.png \"make the sofa red\" --detach --json
      LIMEKILN_URL and LIMEKILN_KEY are set; print the edit and leave
  limekiln submit room.png \"make the sofa red\" --session 01939e0c-...
      the first turn of a session; `limekiln session edit` posts the next";
