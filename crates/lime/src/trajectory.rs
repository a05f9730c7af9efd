//! One denoising run that can stop and go on between any two steps.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use limekiln_diffusion::{noise::TorchRng, scheduler::Scheduler};

use crate::error::{Error, Result};

/// Latents on their way from noise to picture. Steps are U-Net calls.
pub struct Trajectory {
    scheduler: Box<dyn Scheduler>,
    rng: TorchRng,
    latents: Tensor,
    /// Where the last output says that the run ends.
    clean: Option<Tensor>,
    step: usize,
}

/// What a stopped run needs to go on.
pub(crate) struct SavedTrajectory {
    pub(crate) step: usize,
    pub(crate) rng: Vec<u8>,
    pub(crate) latents: Tensor,
    pub(crate) history: HashMap<String, Tensor>,
}

/// Shape of latents: rows, channels, height, width.
pub type LatentShape = (usize, usize, usize, usize);

/// The first noise of `seed` and the generator behind it, as diffusers draws them: f32 `[1, channels, h, w]` on `device`.
pub fn noise(seed: u64, shape: LatentShape, device: &Device) -> Result<(Tensor, TorchRng)> {
    let mut rng = TorchRng::new(seed);
    let noise = draw(&mut rng, shape, device)?;
    Ok((noise, rng))
}

/// The next noise of a generator, f32 `[1, channels, h, w]` on `device`.
pub(crate) fn draw(rng: &mut TorchRng, shape: LatentShape, device: &Device) -> Result<Tensor> {
    let (rows, channels, height, width) = shape;
    let values = rng.randn(rows * channels * height * width);
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_device(device)?)
}

impl Trajectory {
    /// Starts from the first noise of `seed`.
    pub fn start(
        scheduler: Box<dyn Scheduler>,
        seed: u64,
        shape: LatentShape,
        device: &Device,
    ) -> Result<Self> {
        let (noise, rng) = noise(seed, shape, device)?;
        let latents = (noise * scheduler.init_noise_sigma())?;
        Ok(Self {
            scheduler,
            rng,
            latents,
            clean: None,
            step: 0,
        })
    }

    /// As it was when [`Trajectory::save`] was called.
    pub(crate) fn resume(
        mut scheduler: Box<dyn Scheduler>,
        saved: SavedTrajectory,
        device: &Device,
    ) -> Result<Self> {
        let (step, steps) = (saved.step, scheduler.timesteps().len());
        if step > steps {
            return Err(Error::State(format!("it stands at step {step} of {steps}")));
        }
        scheduler.restore(saved.step, &saved.history)?;
        let rng = TorchRng::restore(&saved.rng)?;
        Ok(Self {
            scheduler,
            rng,
            latents: saved.latents.to_device(device)?,
            clean: None,
            step: saved.step,
        })
    }

    pub(crate) fn save(&self) -> SavedTrajectory {
        SavedTrajectory {
            step: self.step,
            rng: self.rng.save(),
            latents: self.latents.clone(),
            history: self.scheduler.history().into_iter().collect(),
        }
    }

    /// How many steps are done.
    pub fn step(&self) -> usize {
        self.step
    }

    /// How many steps the whole run has.
    pub fn steps(&self) -> usize {
        self.scheduler.timesteps().len()
    }

    /// The latents reached, f32 `[1, channels, h, w]`, as the solver scales them.
    pub fn latents(&self) -> &Tensor {
        &self.latents
    }

    /// The clean latents that the last output speaks for, as the solver scales them: what the run comes to, less and less blurred.
    /// None before the first step, and after the run was resumed.
    pub fn clean(&self) -> Option<&Tensor> {
        self.clean.as_ref()
    }

    /// What the U-Net is given at this step: the latents as the solver scales them, and the timestep.
    pub fn input(&self) -> Result<(Tensor, f64)> {
        let timestep = self.scheduler.timesteps().get(self.step).copied();
        let timestep = timestep
            .ok_or_else(|| Error::Request(format!("all {} steps are done", self.steps())))?;
        Ok((
            self.scheduler.scale_model_input(&self.latents, self.step)?,
            timestep,
        ))
    }

    /// One step with the model's guided output, f32 `[1, channels, h, w]`.
    pub fn advance(&mut self, output: &Tensor) -> Result<()> {
        let (shape, device) = (self.latents.dims4()?, self.latents.device());
        let noise = self.scheduler.noise_needed(self.step);
        let noise = noise
            .then(|| draw(&mut self.rng, shape, device))
            .transpose()?;
        self.clean = Some(self.scheduler.clean(output, self.step, &self.latents)?);
        self.latents = self
            .scheduler
            .step(output, self.step, &self.latents, noise.as_ref())?
            .to_dtype(DType::F32)?;
        self.step += 1;
        Ok(())
    }

    /// Puts `clean` latents, noised with `noise` to the level reached, wherever `outside` (`[1, 1, h, w]`) is 1.
    pub fn blend(&mut self, outside: &Tensor, clean: &Tensor, noise: &Tensor) -> Result<()> {
        let (alpha, sigma) = match self.step < self.steps() {
            true => self.scheduler.alpha_sigma(self.step),
            false => (1.0, 0.0),
        };
        let noised = ((clean * alpha)? + (noise * sigma)?)?;
        let outside = outside.broadcast_as(noised.shape())?.ne(0f32)?;
        self.latents = outside.where_cond(&noised, &self.latents)?;
        if let Some(inside) = &self.clean {
            self.clean = Some(outside.where_cond(clean, inside)?);
        }
        Ok(())
    }
}
