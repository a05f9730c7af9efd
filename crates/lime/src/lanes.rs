//! The three lanes of InstructPix2Pix: which run, and how they combine (eq. 2).

use candle_core::Tensor;
use limekiln_diffusion::guidance;

use crate::{error::Result, preset::Guide};

/// What a row of a U-Net call is conditioned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// It is given the picture and the instruction.
    Text,
    /// It is given the picture and the empty text.
    Image,
    /// It is given zeros and the empty text.
    None,
}

/// All lanes, in the order of diffusers' batch.
pub const LANES: [Lane; 3] = [Lane::Text, Lane::Image, Lane::None];

/// Whether there is guidance at all. As in diffusers: only with s_T > 1 and s_I >= 1, else the text lane runs alone.
fn guided(scales: Guide) -> bool {
    scales.text > 1.0 && scales.image >= 1.0
}

/// `eps = sum of factor * lane`: eq. 2 sorted by lanes.
fn factor(scales: Guide, lane: Lane) -> f64 {
    match (lane, guided(scales)) {
        (Lane::Text, true) => scales.text,
        (Lane::Image, true) => scales.image - scales.text,
        (Lane::None, true) => 1.0 - scales.image,
        (Lane::Text, false) => 1.0,
        (_, false) => 0.0,
    }
}

/// The lanes that must run: those with a factor that is not 0, and those that are read.
pub fn needed(scales: Guide, read: &[Lane]) -> Vec<Lane> {
    LANES
        .into_iter()
        .filter(|lane| factor(scales, *lane) != 0.0 || read.contains(lane))
        .collect()
}

/// The row of one lane in a call's output.
pub fn row(output: &Tensor, lanes: &[Lane], lane: Lane) -> Result<Option<Tensor>> {
    let index = lanes.iter().position(|other| *other == lane);
    Ok(index.map(|index| output.narrow(0, index, 1)).transpose()?)
}

/// The guided prediction `[1, channels, h, w]` from a call's rows `[lanes, channels, h, w]`; every lane of
/// [`needed`]`(scales, ..)` must be among them.
pub fn combine(output: &Tensor, lanes: &[Lane], scales: Guide) -> Result<Tensor> {
    if guided(scales) && lanes == LANES {
        let scales = guidance::Scales {
            text: scales.text,
            image: scales.image,
        };
        return Ok(guidance::combine(
            &output.narrow(0, 0, 1)?,
            &output.narrow(0, 1, 1)?,
            &output.narrow(0, 2, 1)?,
            scales,
        )?);
    }
    let mut sum: Option<Tensor> = None;
    for lane in needed(scales, &[]) {
        if let Some(row) = row(output, lanes, lane)? {
            let part = (row * factor(scales, lane))?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
    }
    Ok(sum.map_or_else(|| output.narrow(0, 0, 1), Ok)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn needs(text: f64, image: f64, read: &[Lane]) -> Vec<Lane> {
        needed(Guide { text, image }, read)
    }

    #[test]
    fn a_lane_without_a_factor_runs_only_when_read() {
        assert_eq!(needs(7.5, 1.5, &[]), LANES);
        assert_eq!(needs(7.5, 1.0, &[]), [Lane::Text, Lane::Image]);
        assert_eq!(needs(1.5, 1.5, &[]), [Lane::Text, Lane::None]);
        assert_eq!(needs(1.5, 1.5, &[Lane::Image]), LANES);
        assert_eq!(needs(1.0, 1.5, &[]), [Lane::Text]);
        assert_eq!(needs(7.5, 0.9, &[Lane::Image]), [Lane::Text, Lane::Image]);
    }

    #[test]
    fn dropped_lanes_change_nothing() {
        let output = Tensor::randn(0f32, 1.0, (3, 4, 5, 6), &Device::Cpu).unwrap();
        let rows: Vec<Tensor> = (0..3)
            .map(|lane| output.narrow(0, lane, 1).unwrap())
            .collect();
        for (text, image) in [(7.5, 1.5), (7.5, 1.0), (2.0, 2.0), (1.0, 1.5), (3.0, 0.5)] {
            let scales = Guide { text, image };
            let lanes = needed(scales, &[]);
            let kept: Vec<Tensor> = lanes
                .iter()
                .map(|lane| rows[*lane as usize].clone())
                .collect();
            let got = combine(&Tensor::cat(&kept, 0).unwrap(), &lanes, scales).unwrap();
            let want = if guided(scales) {
                let text_part = ((&rows[0] - &rows[1]).unwrap() * text).unwrap();
                let image_part = ((&rows[1] - &rows[2]).unwrap() * image).unwrap();
                ((&rows[2] + text_part).unwrap() + image_part).unwrap()
            } else {
                rows[0].clone()
            };
            let error = (got - want)
                .unwrap()
                .abs()
                .unwrap()
                .max_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap();
            assert!(error < 1e-5, "{scales:?}: {error}");
        }
    }
}
