//! Stage 2 in a window: which one, whether it may, and what its predictions become.
//!
//! The run keeps the latents of the whole picture, so noise, solver, blending and previews know no window: only what the U-Net is
//! shown is cut, and what it predicts is laid back. Blending overwrites what lies outside after every step. Before the first step
//! one call is made in the window; the first step itself computes the whole picture, and the two are compared.
//!
//! Group norms see the window alone. With those of the whole input at the same noise level, results on seven rooms came no nearer to
//! the whole picture's (5.9 of 255 apart in the object, 6.1 without) for a call on the whole picture in every step.

use candle_core::{DType, Device, Tensor};
use limekiln_pictures::Mask;

use super::{
    check::{Check, Windowed},
    machine::Edit,
    setup::Setup,
    stage::Stage,
};
use crate::{
    error::Result,
    preset::Blend,
    report::{RanWhole, WindowReport},
    window::{Grain, Rect},
};

impl Setup {
    /// Height and width of the latents.
    pub(super) fn latent_size(&self) -> (usize, usize) {
        let (_, _, height, width) = self.shape;
        (height, width)
    }

    /// What blending leaves to the edit: the region at the latents' size, grown, also by what a later matte may need.
    pub(super) fn grown(&self, roi: &Mask, blend: &Blend) -> Mask {
        let (height, width) = self.latent_size();
        roi.resized(width, height).grown(blend.grow + blend.matte)
    }

    /// The window of a region, where the preset asks for one: or why the whole picture is computed.
    pub(super) fn window(&self, roi: Option<&Mask>) -> Option<std::result::Result<Rect, RanWhole>> {
        let edit = self.apply()?;
        let settings = edit.window.as_ref()?;
        let Some(roi) = roi else {
            return Some(Err(RanWhole::NoRegion));
        };
        let steps = self.calls(Stage::Edit);
        let always = |blend: &&Blend| {
            let blended = blend.steps.scaled(steps);
            *blended.start() == 1 && *blended.end() >= steps
        };
        let Some(blend) = edit.blend.as_ref().filter(always) else {
            return Some(Err(RanWhole::NotBlended));
        };
        let inside = self.grown(roi, blend);
        let grain = Grain {
            least: self.window_least,
            halving: self.halving,
        };
        let more = if self.removes() {
            settings.removing
        } else {
            1.0
        };
        let rect = Rect::around(&inside, settings, more, grain).ok_or(RanWhole::NoRegion);
        Some(rect.and_then(|rect| {
            let share = rect.share(self.latent_size());
            // An area of 1 asks for windows up to the picture's own size, which is none.
            let pays = share <= settings.area && share < 1.0;
            pays.then_some(rect).ok_or(RanWhole::Area)
        }))
    }

    /// Where an edit in `roi` begins.
    pub(super) fn windowed(&self, roi: Option<&Mask>) -> Option<Windowed> {
        let rect = self.window(roi)?.ok()?;
        Some(Windowed {
            rect,
            check: Check::Open,
        })
    }

    /// Whether predictions that differ so much are the same edit. What is no number is not.
    fn alike(&self, difference: f64) -> bool {
        let window = self.apply().and_then(|edit| edit.window.as_ref());
        window.is_some_and(|window| difference <= window.bound)
    }
}

impl Edit {
    /// The part of the picture that the next call computes, where that is not the whole.
    pub(super) fn window_now(&self) -> Option<Rect> {
        let windowed = self
            .windowed
            .as_ref()
            .filter(|_| matches!(self.stage, Stage::Edit | Stage::Decode))?;
        let cut = match &windowed.check {
            Check::Open => true,
            Check::Predicted(_) => false,
            Check::Done(difference) => self.setup.alike(*difference),
        };
        cut.then_some(windowed.rect)
    }

    /// The whole picture's guided prediction for this step: `guided` itself, or laid back from the window. None where this call was
    /// the check's, and the step is still to be taken.
    pub(super) fn unwindowed(&mut self, guided: Tensor) -> Result<Option<Tensor>> {
        let now = self.window_now();
        let Some(Windowed { rect, check }) = &mut self.windowed else {
            return Ok(Some(guided));
        };
        Ok(match (&*check, now) {
            (Check::Open, _) => {
                *check = Check::Predicted(guided);
                None
            }
            (Check::Predicted(part), _) => {
                let blend = self.setup.apply().and_then(|edit| edit.blend.as_ref());
                let inside = match (&self.located.roi, blend) {
                    (Some(roi), Some(blend)) => rect.inside(&self.setup.grown(roi, blend)),
                    _ => Vec::new(),
                };
                let difference = difference(part, &rect.cut(&guided)?, &inside)?;
                *check = Check::Done(difference);
                Some(guided)
            }
            (Check::Done(_), Some(rect)) => Some(rect.paste(&guided, self.setup.latent_size())?),
            (Check::Done(_), None) => Some(guided),
        })
    }

    /// What the report says of the window, where the preset asks for one.
    pub(super) fn window_report(&self) -> Option<WindowReport> {
        let chosen = self.setup.window(self.located.roi.as_ref())?;
        let difference = self
            .windowed
            .as_ref()
            .and_then(|windowed| match windowed.check {
                Check::Done(difference) => Some(difference),
                Check::Open | Check::Predicted(_) => None,
            });
        let unlike = difference.is_some_and(|difference| !self.setup.alike(difference));
        Some(WindowReport {
            rect: self.windowed.as_ref().map(|windowed| windowed.rect),
            difference,
            whole: match (&self.windowed, chosen) {
                (Some(_), _) => unlike.then_some(RanWhole::Difference),
                (None, chosen) => chosen.err(),
            },
        })
    }
}

/// Root mean square of what `part` differs from `whole` by where `inside`, over that of `whole` there; all of one size. Summed one
/// by one, so that it is the same with any number of threads.
fn difference(part: &Tensor, whole: &Tensor, inside: &[bool]) -> Result<f64> {
    let values = |tensor: &Tensor| -> Result<Vec<f32>> {
        let tensor = tensor.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        Ok(tensor.flatten_all()?.to_vec1()?)
    };
    let (part, whole) = (values(part)?, values(whole)?);
    let pairs = part.iter().zip(&whole).zip(inside.iter().cycle());
    let (mut apart, mut size) = (0.0, 0.0);
    for ((part, whole), _) in pairs.filter(|(_, inside)| **inside) {
        apart += f64::from(part - whole).powi(2);
        size += f64::from(*whole).powi(2);
    }
    Ok((apart / size).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_a_share_of_what_lies_inside() {
        let tensor =
            |values: [f32; 8]| Tensor::from_vec(values.to_vec(), (1, 2, 2, 2), &Device::Cpu);
        let whole = tensor([3.0, 0.0, 9.0, 9.0, 4.0, 0.0, 9.0, 9.0]).unwrap();
        let part = tensor([3.0, 0.0, 0.0, 9.0, 4.5, 0.0, 9.0, 0.0]).unwrap();
        let inside = [true, true, false, false];
        assert_eq!(difference(&part, &whole, &inside).unwrap(), 0.1);
        assert!(difference(&part, &whole, &[false; 4]).unwrap().is_nan());
    }
}
