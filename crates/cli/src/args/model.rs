//! Which model runs, and on which device.

use std::path::PathBuf;

use clap::Args;

/// Which model runs, and on which device.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// The checkpoint: `rooms` (built in, knows drawn rooms only), a folder or single file, or hf:owner/name[@revision]
    ///
    /// These formats are read as they are: diffusers folders (safetensors, fp16 variants, sharded, .bin) and single .safetensors or
    /// .ckpt files of InstructPix2Pix. hf:owner/name is looked up in the hub's cache first (HF_HOME, HF_HUB_CACHE)
    /// and downloaded when it is not there, with HF_TOKEN or the token of `hf auth login` where there is one.
    #[arg(
        long,
        value_name = "MODEL",
        env = "LIMEKILN_MODEL",
        default_value = "rooms"
    )]
    pub(crate) model: String,

    /// Use the averaged (EMA) weights of a single-file checkpoint
    #[arg(long)]
    pub(crate) ema: bool,

    /// Use this variant of a diffusers folder's weights, such as fp16
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Option<String>,

    /// Folder with what a single file lacks: tokenizer/, scheduler/ [default: the folder that the file lies in]
    #[arg(long, value_name = "DIR")]
    pub(crate) companion: Option<PathBuf>,

    /// Device to compute on: auto, cpu, cuda or cuda:N
    #[arg(
        long,
        value_name = "DEVICE",
        env = "LIMEKILN_DEVICE",
        default_value = "auto"
    )]
    pub(crate) device: String,

    /// Number type of the networks: f32, bf16, f16, or auto for the fastest on this device, which is then printed [default: f32 on the
    /// processor, bf16 on a GPU]
    #[arg(long, value_name = "DTYPE")]
    pub(crate) dtype: Option<String>,
}
