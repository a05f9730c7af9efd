//! The model that the arguments name.

use anyhow::{Context, Result};
use limekiln_diffusion::checkpoint::{Checkpoint, OpenOptions, Source};
use limekiln_diffusion::device::{DeviceChoice, DtypeChoice};
use limekiln_diffusion::model::Model;

use crate::args::ModelArgs;
use crate::settings::Usage;

/// The built-in model's name on the command line.
const BUILT_IN: &str = "rooms";
/// Side of the pictures that the built-in model was trained on, in pixels.
const SIZE_BUILT_IN: u32 = limekiln_rooms::SIDE;
/// Side of the pictures that published checkpoints were trained on, in pixels.
const SIZE: u32 = 512;

/// The model's source and device as the arguments have them: checked, but not opened.
pub(crate) struct Choice {
    source: Source,
    options: OpenOptions,
    pub(crate) built_in: bool,
    pub(crate) device: DeviceChoice,
    dtype: Option<DtypeChoice>,
}

impl Choice {
    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// [`Usage`] for a device or number type that there is not.
    pub(crate) fn new(args: &ModelArgs) -> Result<Self> {
        let built_in = args.model == BUILT_IN;
        let source = if built_in {
            Source::Embedded(limekiln_rooms::checkpoint_files())
        } else {
            Checkpoint::parse_source(&args.model)
        };
        let device = args
            .device
            .parse()
            .map_err(|error| Usage(format!("--device: {error}")))?;
        let dtype = args.dtype.as_deref().map(str::parse).transpose();
        let dtype = dtype.map_err(|error| Usage(format!("--dtype: {error}")))?;
        let options = OpenOptions {
            ema: args.ema,
            variant: args.variant.clone(),
            companion: args.companion.clone(),
            ..OpenOptions::default()
        };
        Ok(Self {
            source,
            options,
            built_in,
            device,
            dtype,
        })
    }

    /// The bound on a picture's longer side that suits the model, in pixels.
    pub(crate) fn size_default(&self) -> u32 {
        if self.built_in { SIZE_BUILT_IN } else { SIZE }
    }

    /// Opens the model on its device.
    ///
    /// # Errors
    ///
    /// What is wrong with the device or the checkpoint.
    pub(crate) fn open(&self) -> Result<Model> {
        let device = self.device.open()?;
        let dtype = self.dtype.unwrap_or(if device.is_cpu() {
            DtypeChoice::F32
        } else {
            DtypeChoice::Bf16
        });
        let checkpoint =
            Checkpoint::open(&self.source, &self.options).context("the model can't be opened")?;
        Ok(Model {
            window_least: self.built_in.then_some(limekiln_rooms::WINDOW_LEAST),
            ..Model::load(checkpoint, &device, dtype.dtype())?
        })
    }
}
