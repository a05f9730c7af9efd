//! Everything that a checkpoint holds, built and ready on a device.

use candle_core::{DType, Device, Tensor};

use crate::Error;
use crate::checkpoint::Checkpoint;
use crate::scheduler::SchedulerConfig;
use crate::text::TextEncoder;
use crate::tokenizer::Tokenizer;
use crate::unet::Unet;
use crate::vae::Vae;

/// An InstructPix2Pix model.
pub struct Model {
    /// What the checkpoint calls itself.
    pub name: String,
    /// Content hash of its weight files.
    pub fingerprint: String,
    /// Turns text into token ids.
    pub tokenizer: Tokenizer,
    /// Turns token ids into text states.
    pub text: TextEncoder,
    /// The denoising network.
    pub unet: Unet,
    /// Turns pictures into latents and back.
    pub vae: Vae,
    /// How the network was trained to be stepped.
    pub scheduler: SchedulerConfig,
    /// What every instruction must end with (HIVE's conditional model).
    pub instruction_suffix: Option<String>,
    /// What is odd about the checkpoint and stops nothing, each in a sentence.
    pub warnings: Vec<String>,
    /// Least side, in latent pixels, of a part of a picture that the U-Net predicts as it does within the whole. None where nobody
    /// has measured it; whoever knows the model sets it.
    pub window_least: Option<usize>,
    /// Device that the networks are on.
    pub device: Device,
    /// Number type of the networks' weights and activations.
    pub dtype: DType,
}

impl Model {
    /// Builds the networks of a checkpoint.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen.
    pub fn load(checkpoint: Checkpoint, device: &Device, dtype: DType) -> Result<Self, Error> {
        let fingerprint = checkpoint.fingerprint().to_owned();
        let Checkpoint {
            name,
            tokenizer,
            text,
            unet,
            vae,
            scheduler,
            instruction_suffix,
            warnings,
            ..
        } = checkpoint;
        let mut model = Self {
            text: TextEncoder::new(text.var_builder(dtype, device), &text.config)?,
            unet: Unet::new(unet.var_builder(dtype, device), &unet.config)?,
            vae: Vae::new(vae.var_builder(dtype, device), &vae.config)?,
            name,
            fingerprint,
            tokenizer,
            scheduler,
            instruction_suffix,
            warnings,
            window_least: None,
            device: device.clone(),
            dtype,
        };
        let spare = [text.spare(), unet.spare(), vae.spare()];
        model.warnings.extend(spare.into_iter().flatten());
        Ok(model)
    }

    /// Text states of prompts, `[prompts, tokens, width]`; overlong prompts are cut as the tokenizer cuts them.
    ///
    /// # Errors
    /// When a prompt cannot be tokenized.
    pub fn text_states(&self, prompts: &[&str]) -> Result<Tensor, Error> {
        let mut ids = Vec::new();
        for prompt in prompts {
            ids.extend(self.tokenizer.encode(prompt)?.ids);
        }
        let tokens = ids.len() / prompts.len().max(1);
        self.text.encode(&Tensor::from_vec(
            ids,
            (prompts.len(), tokens),
            &self.device,
        )?)
    }

    /// Text states of the empty prompt, `[1, tokens, width]`.
    ///
    /// # Errors
    /// As [`Model::text_states`].
    pub fn empty_text(&self) -> Result<Tensor, Error> {
        self.text_states(&[""])
    }

    /// Bytes that the networks hold at once at most, for each pixel of the picture and `rows` rows of the U-Net's batch, on a
    /// processor, where activations are f32. An estimate, so that what can't fit is known before it starts: the VAE's widest
    /// maps at full size (the input of a residual block, what lies between its convolutions, its shortcut and its output), or
    /// the U-Net's maps that wait for the way up beside those of its finest block. Within a quarter of what is measured.
    pub fn bytes_per_pixel(&self, rows: usize) -> usize {
        let widths = &self.vae.config().block_out_channels;
        let (finest, next) = (widths[0], widths[1.min(widths.len() - 1)]);
        let vae = next + 3 * finest;
        let levels = &self.unet.config().levels;
        let mut waiting = 0;
        for (i, level) in levels.iter().enumerate() {
            waiting += (level.channels * (level.layers + 1)).div_ceil(1 << (2 * i));
        }
        let finest = levels.first().map_or(0, |level| level.channels);
        let unet = (rows * (waiting + 8 * finest)).div_ceil(self.factor().pow(2));
        4 * vae.max(unet)
    }

    /// Pixels of the latents at which attention at the finest level takes as long as everything else of a U-Net call: it grows
    /// with their square. By multiplications: some 400 a channel squared for the blocks of a pixel, 20 a channel for each pixel
    /// that it attends to.
    pub fn attention_balance(&self) -> usize {
        20 * self
            .unet
            .config()
            .levels
            .first()
            .map_or(1, |level| level.channels)
    }

    /// What names how it is computed; see [`path`](crate::device::path).
    pub fn path(&self) -> &'static str {
        crate::device::path(&self.device, self.dtype)
    }

    /// How many channels the latents have.
    pub fn latent_channels(&self) -> usize {
        self.vae.config().latent_channels
    }

    /// How many pixels of the picture one pixel of the latents stands for, along a side.
    pub fn factor(&self) -> usize {
        self.vae.config().factor()
    }
}
