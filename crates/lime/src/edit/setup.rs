//! What an edit is computed from and never changes: made from the request and the model, again on every resume.

use candle_core::{DType, Device, Tensor};
use image::{GrayImage, RgbImage};
use limekiln_diffusion::{
    model::Model,
    picture,
    scheduler::{self, SchedulerConfig, SchedulerKind},
    tokenizer::Encoding,
    unet::TextContext,
};
use limekiln_pictures::Mask;

use super::Stage;
use crate::{
    error::{Error, Result},
    preset::{Evidence, Locate, Preset, Tokens},
    trajectory::{self, Trajectory},
    words::{self, Selection},
};

/// One edit, as asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The picture at working size: sides are multiples of the model's factor.
    pub image: RgbImage,
    /// What to do.
    pub instruction: String,
    /// Of the noise and of the clustering.
    pub seed: u64,
    /// How.
    pub preset: Preset,
    /// A region in place of localisation, of the image's size; at least 128 is inside.
    pub mask: Option<GrayImage>,
    /// A solver in place of the preset's and the checkpoint's.
    pub scheduler: Option<SchedulerKind>,
}

pub(crate) struct Setup {
    pub(crate) request: Request,
    /// `[1, channels, h, w]`.
    pub(crate) shape: (usize, usize, usize, usize),
    /// The posterior's mode, unscaled, f32 `[1, channels, h, w]`.
    pub(crate) picture: Tensor,
    /// First noise of the seed, f32 `[1, channels, h, w]`.
    pub(crate) noise: Tensor,
    /// One row: the instruction.
    pub(crate) text: TextContext,
    /// One row: the empty text.
    pub(crate) empty: TextContext,
    pub(crate) encoding: Encoding,
    /// Words of the instruction itself, without what the model asks to add.
    pub(crate) words: usize,
    pub(crate) scaling_factor: f64,
    pub(crate) scheduler: SchedulerConfig,
    pub(crate) device: Device,
    pub(crate) dtype: DType,
}

impl Setup {
    /// `picture`: the encoded picture, where it is known already.
    pub(crate) fn new(model: &Model, request: Request, picture: Option<Tensor>) -> Result<Self> {
        request.preset.validate()?;
        let (width, height) = request.image.dimensions();
        let config = model.vae.config();
        let factor = config.factor();
        let (w, h) = (width as usize / factor, height as usize / factor);
        if w == 0 || h == 0 || w * factor != width as usize || h * factor != height as usize {
            return Err(Error::Request(format!(
                "the picture is {width}x{height}; its sides must be multiples of {factor}"
            )));
        }
        if let Some(mask) = request
            .mask
            .as_ref()
            .filter(|mask| mask.dimensions() != (width, height))
        {
            let (mask_width, mask_height) = mask.dimensions();
            return Err(Error::Request(format!(
                "the mask is {mask_width}x{mask_height}; it must have the picture's {width}x{height}"
            )));
        }
        if request.instruction.trim().is_empty() {
            return Err(Error::Request(
                "the instruction is empty; say what to change".into(),
            ));
        }
        let shape = (1, config.latent_channels, h, w);
        let picture = match picture {
            Some(picture) if picture.dims() == [shape.0, shape.1, h, w] => {
                picture.to_device(&model.device)?
            }
            Some(_) => return Err(Error::State("its picture has another size".into())),
            None => {
                let pixels =
                    picture::to_tensor(&request.image, &model.device)?.to_dtype(model.dtype)?;
                model.vae.encode_mode(&pixels)?.to_dtype(DType::F32)?
            }
        };
        let (noise, _) = trajectory::noise(request.seed, shape, &model.device)?;
        let prompt = format!(
            "{}{}",
            request.instruction,
            model.instruction_suffix.as_deref().unwrap_or("")
        );
        let context = |prompt: &str| -> Result<TextContext> {
            Ok(model.unet.text(&model.text_states(&[prompt])?)?)
        };
        Ok(Self {
            shape,
            picture,
            noise,
            text: context(&prompt)?,
            empty: context("")?,
            encoding: model.tokenizer.encode(&prompt)?,
            words: model.tokenizer.encode(&request.instruction)?.words.len(),
            scaling_factor: config.scaling_factor,
            scheduler: model.scheduler.clone(),
            device: model.device.clone(),
            dtype: model.dtype,
            request,
        })
    }

    /// Tokens read to locate, whether or not the edit locates.
    pub(crate) fn selection(&self, tokens: Tokens) -> Selection {
        words::select(&self.encoding, self.words, tokens)
    }

    /// Stage 1's settings, if there is a stage 1: not with a mask, and not when attention has no token to read.
    pub(crate) fn locate(&self) -> Option<&Locate> {
        let locate = self
            .request
            .preset
            .locate
            .as_ref()
            .filter(|_| self.request.mask.is_none())?;
        let legible = locate.map.evidence == Evidence::Relevance
            || !self.selection(locate.map.tokens).read.is_empty();
        legible.then_some(locate)
    }

    /// Solver and steps of a stage; none is the checkpoint's own solver.
    pub(crate) fn solver(&self, stage: Stage) -> (Option<SchedulerKind>, usize) {
        let preset = &self.request.preset;
        let (kind, steps) = match (&preset.locate, stage) {
            (Some(locate), Stage::Locate) => (locate.scheduler, locate.steps),
            _ => (preset.edit.scheduler, preset.edit.steps),
        };
        (self.request.scheduler.or(kind), steps)
    }

    /// Name of the edit stage's solver.
    pub(crate) fn solver_name(&self) -> String {
        let kind = self
            .solver(Stage::Edit)
            .0
            .map_or_else(|| self.scheduler.class(), Ok);
        kind.map_or_else(|_| "unknown".into(), |kind| kind.to_string())
    }

    /// A stage's run from the seed's first noise: the same for both.
    pub(crate) fn start(&self, stage: Stage) -> Result<Trajectory> {
        let (kind, steps) = self.solver(stage);
        Trajectory::start(
            &self.scheduler,
            kind,
            steps,
            self.request.seed,
            self.shape,
            &self.device,
        )
    }

    /// U-Net calls of a stage that runs to its end.
    pub(crate) fn calls(&self, stage: Stage) -> usize {
        let (kind, steps) = self.solver(stage);
        scheduler::build(&self.scheduler, kind, steps)
            .map_or(steps, |scheduler| scheduler.timesteps().len())
    }

    /// The user's mask at its own size.
    pub(crate) fn mask(&self) -> Option<Mask> {
        self.request.mask.as_ref().map(Mask::from_image)
    }
}
