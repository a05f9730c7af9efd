//! Stage 2: denoise with regularised attention in the region, and the input's own latents outside it where asked for.

use candle_core::Tensor;

use super::{machine::Edit, stage::Stage};
use crate::{
    bias::Bias,
    error::{Error, Result},
    lanes::{self, Lane},
};

fn nothing() -> Error {
    Error::Request("this edit has nothing to denoise".into())
}

impl Edit {
    /// The bias of this step.
    pub(super) fn bias_now(&self) -> Option<Bias> {
        let edit = self.setup.apply()?;
        let window = edit.regularise.as_ref()?.steps.scaled(self.run.steps());
        self.bias
            .clone()
            .filter(|_| window.contains(&(self.run.step() + 1)))
    }

    pub(super) fn advance_apply(&mut self, output: &Tensor, lanes: &[Lane]) -> Result<()> {
        let edit = self.setup.apply().ok_or_else(nothing)?;
        let guided = lanes::combine(output, lanes, edit.scales)?;
        let Some(guided) = self.unwindowed(guided)? else {
            return Ok(());
        };
        self.run.advance(&guided)?;
        let blend = self.setup.apply().and_then(|edit| edit.blend.as_ref());
        if let (Some(blend), Some(roi)) = (blend, &self.located.roi)
            && blend
                .steps
                .scaled(self.run.steps())
                .contains(&self.run.step())
        {
            let (height, width) = self.setup.latent_size();
            let inside = self.setup.grown(roi, blend);
            let outside: Vec<f32> = inside
                .inside()
                .iter()
                .map(|inside| f32::from(u8::from(!inside)))
                .collect();
            let outside = Tensor::from_vec(outside, (1, 1, height, width), &self.setup.device)?;
            let clean = (&self.setup.picture * self.setup.scaling_factor)?;
            self.run.blend(&outside, &clean, &self.setup.noise)?;
        }
        if self.run.step() == self.run.steps() {
            self.stage = Stage::Decode;
        }
        Ok(())
    }
}
