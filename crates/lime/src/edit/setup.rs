//! What an edit is computed from and never changes: made from the request and the model, again on every resume.

use candle_core::{DType, Device, Tensor};
use limekiln_diffusion::{
    Error as DiffusionError,
    model::Model,
    picture,
    scheduler::{self, Scheduler, SchedulerConfig, SchedulerKind},
    tokenizer::Encoding,
    unet::TextContext,
};
use limekiln_pictures::Mask;

use super::{request::Request, stage::Stage};
use crate::{
    bias::Bias,
    error::{Error, Result},
    preset::{Apply, Evidence, Locate, LocateFrom, MapSettings, Tokens},
    trajectory::{self, LatentShape, Trajectory},
    words::{self, Selection},
};

/// Everything that the steps of an edit read: of the request, of the model, and made from both.
pub(crate) struct Setup {
    pub(crate) request: Request,
    /// Shape of the latents, `[1, channels, h, w]`.
    pub(crate) shape: LatentShape,
    /// The posterior's mode, unscaled, f32 `[1, channels, h, w]`.
    pub(crate) picture: Tensor,
    /// First noise of the seed, f32 `[1, channels, h, w]`.
    pub(crate) noise: Tensor,
    /// What the U-Net reads; none of an edit that has no step to take.
    pub(crate) texts: Option<Texts>,
    pub(crate) encoding: Encoding,
    /// Words of the instruction itself, without what the model asks to add.
    pub(crate) words: usize,
    pub(crate) scaling_factor: f64,
    /// What windows are multiples of: the U-Net's whole halving.
    pub(crate) halving: usize,
    /// Least side of a window, where the model has its own.
    pub(crate) window_least: Option<usize>,
    pub(crate) scheduler: SchedulerConfig,
    pub(crate) device: Device,
    pub(crate) dtype: DType,
    /// What names how the networks are computed.
    pub(crate) path: &'static str,
}

/// Texts as the U-Net reads them.
pub(crate) struct Texts {
    /// Keys and values of the instruction, one row.
    pub(crate) instruction: TextContext,
    /// Keys and values of the empty text, one row.
    pub(crate) empty: TextContext,
}

/// The instruction with what the model asks to add.
fn prompt(model: &Model, request: &Request) -> String {
    let suffix = model.instruction_suffix.as_deref().unwrap_or("");
    format!("{}{suffix}", request.instruction)
}

impl Setup {
    /// The shape that the picture's latents have.
    pub(crate) fn picture_shape(model: &Model, request: &Request) -> [usize; 4] {
        let (width, height) = request.image.dimensions();
        let config = model.vae.config();
        let side = |side: u32| side as usize / config.factor();
        [1, config.latent_channels, side(height), side(width)]
    }

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
        if let Some((w, h)) = request.mask.as_ref().map(|mask| mask.dimensions())
            && (w, h) != (width, height)
        {
            return Err(Error::Request(format!(
                "the mask is {w}x{h}; it must have the picture's {width}x{height}"
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
        let prompt = prompt(model, &request);
        Ok(Self {
            shape,
            picture,
            noise,
            texts: None,
            encoding: model.tokenizer.encode(&prompt)?,
            words: model.tokenizer.encode(&request.instruction)?.words.len(),
            scaling_factor: config.scaling_factor,
            halving: model.unet.config().halving(),
            window_least: model.window_least,
            scheduler: model.scheduler.clone(),
            device: model.device.clone(),
            dtype: model.dtype,
            path: model.path(),
            request,
        })
    }

    /// Encodes the texts, for an edit that stands in `stage`.
    pub(crate) fn encode_texts(&mut self, model: &Model, stage: Stage) -> Result<()> {
        if stage == Stage::Decode {
            return Ok(());
        }
        let context = |prompt: &str| -> Result<TextContext> {
            Ok(model.unet.text(&model.text_states(&[prompt])?)?)
        };
        self.texts = Some(Texts {
            instruction: context(&prompt(model, &self.request))?,
            empty: context("")?,
        });
        Ok(())
    }

    /// The tokens that a rule selects.
    fn selection(&self, tokens: Tokens) -> Selection {
        words::select(&self.encoding, self.words, tokens)
    }

    /// Positions of the tokens whose attention is read to locate.
    pub(crate) fn read(&self, map: &MapSettings) -> Vec<usize> {
        self.selection(map.tokens)
            .of_words(&self.encoding, &map.words)
            .read
    }

    /// Whether the instruction says that something goes.
    pub(super) fn removes(&self) -> bool {
        words::removes(&self.encoding, self.words)
    }

    /// Whether no token is left to be penalised.
    pub(crate) fn nothing_penalised(&self, tokens: Tokens) -> bool {
        self.selection(tokens).penalised.is_empty()
    }

    /// Stage 1's settings, if there is a stage 1: not with a mask, and not when attention has no token to read.
    pub(crate) fn locate(&self) -> Option<&Locate> {
        let locate = self
            .request
            .preset
            .locate
            .as_ref()
            .filter(|_| self.request.mask.is_none())?;
        let legible =
            locate.map.evidence == Evidence::Relevance || !self.read(&locate.map).is_empty();
        legible.then_some(locate)
    }

    /// Stage 2's settings, if there is a stage 2.
    pub(crate) fn apply(&self) -> Option<&Apply> {
        self.request.preset.edit.as_ref()
    }

    /// Solver and steps of a stage; none is the checkpoint's own solver. A stage that is one call has no run of its own: it
    /// stands at the start of the edit's, where there is one.
    fn solver(&self, stage: Stage) -> (Option<SchedulerKind>, usize) {
        let own = |locate: &&Locate| stage == Stage::Locate && locate.from == LocateFrom::Noise;
        let locate = self.request.preset.locate.as_ref();
        let (kind, steps) = match (locate.filter(own), self.apply(), locate) {
            (Some(locate), _, _) | (None, None, Some(locate)) => (locate.scheduler, locate.steps),
            (None, Some(edit), _) => (edit.scheduler, edit.steps),
            (None, None, None) => (None, 1),
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

    /// A stage's scheduler, at its start.
    pub(crate) fn scheduler(&self, stage: Stage) -> Result<Box<dyn Scheduler>> {
        let (kind, steps) = self.solver(stage);
        let refused = |error: DiffusionError| match (error, kind) {
            // Another edit of the same model may name one that is there.
            (error @ DiffusionError::Scheduler(_), None) => {
                let stage = match stage {
                    Stage::Locate => "locate",
                    Stage::Find | Stage::Edit | Stage::Decode => "edit",
                };
                Error::Request(format!(
                    "the model's {error}; `{stage}.scheduler` of the options, or --scheduler, names it"
                ))
            }
            (error, _) => error.into(),
        };
        scheduler::build(&self.scheduler, kind, steps).map_err(refused)
    }

    /// A stage's run from the first noise of its seed, which is the same for both unless locating has a seed of its own.
    pub(crate) fn start(&self, stage: Stage) -> Result<Trajectory> {
        let scheduler = self.scheduler(stage)?;
        let seed = match stage {
            Stage::Locate => self.request.locate_seed(),
            Stage::Find | Stage::Edit | Stage::Decode => self.request.seed,
        };
        Trajectory::start(scheduler, seed, self.shape, &self.device)
    }

    /// U-Net calls of a stage that runs to its end.
    pub(crate) fn calls(&self, stage: Stage) -> usize {
        if stage == Stage::Edit && self.apply().is_none() {
            return 0;
        }
        let (_, steps) = self.solver(stage);
        self.scheduler(stage)
            .map_or(steps, |scheduler| scheduler.timesteps().len())
    }

    /// The user's mask at its own size.
    pub(crate) fn mask(&self) -> Option<Mask> {
        self.request.mask.as_ref().map(Mask::from_image)
    }

    /// The bias of stage 2 in `roi`, where there is a region and something to move.
    pub(crate) fn bias(&self, roi: Option<&Mask>) -> Option<Bias> {
        let regularise = self.apply()?.regularise.as_ref()?;
        let selection = self.selection(regularise.tokens);
        let (end, tokens) = (self.encoding.end, self.encoding.ids.len());
        let read = selection.read.iter().copied();
        let words: Vec<usize> = read.filter(|position| *position < end).collect();
        Bias::new(roi?, regularise, &selection.penalised, &words, tokens)
    }
}
