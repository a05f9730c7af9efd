//! Equations 3 and 4: what is added to cross-attention scores inside the region.

use candle_core::{Device, Result, Tensor};
use limekiln_pictures::Mask;

use crate::{
    lanes::Lane,
    preset::{Biased, Mode, Regularise, Sizes},
    window::Rect,
};

/// The bias of one edit: `value` at `positions` inside `mask`, 0 elsewhere.
#[derive(Clone, Debug)]
pub struct Bias {
    mask: Mask,
    positions: Vec<usize>,
    tokens: usize,
    value: f32,
    lanes: Biased,
    sizes: Sizes,
}

impl Bias {
    /// Eq. 3 moves the `penalised` of a text's `tokens` down, eq. 4 the `located` ones up. None when there is nothing to move.
    pub fn new(
        mask: &Mask,
        regularise: &Regularise,
        penalised: &[usize],
        located: &[usize],
        tokens: usize,
    ) -> Option<Self> {
        let (positions, value) = match regularise.mode {
            Mode::Penalise => (penalised, -regularise.strength),
            Mode::Reward => (located, regularise.strength),
        };
        let bias = || Self {
            mask: mask.clone(),
            positions: positions.to_vec(),
            tokens,
            value: value as f32,
            lanes: regularise.lanes,
            sizes: regularise.sizes,
        };
        (!positions.is_empty()).then(bias)
    }

    /// Positions of the tokens whose scores are moved.
    pub fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// Sizes of the layers whose scores are moved.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The bias of a `part` of a layer that has (height, width) in a call on the whole picture, for a call of these lanes: f32
    /// `[lanes, 1, pixels of the part, tokens]`.
    pub fn at(
        &self,
        (height, width): (usize, usize),
        part: Rect,
        lanes: &[Lane],
        device: &Device,
    ) -> Result<Tensor> {
        let mask = self.mask.resized(width, height);
        let inside = part.inside(&mask).into_iter();
        let inside: Vec<f32> = inside.map(|inside| f32::from(u8::from(inside))).collect();
        let mut values = vec![0f32; lanes.len() * self.tokens];
        for (lane, row) in lanes.iter().zip(values.chunks_exact_mut(self.tokens)) {
            if *lane == Lane::Text || self.lanes == Biased::All {
                self.positions
                    .iter()
                    .for_each(|&position| row[position] = self.value);
            }
        }
        let inside = Tensor::from_vec(inside, (1, 1, part.height * part.width, 1), device)?;
        Tensor::from_vec(values, (lanes.len(), 1, 1, self.tokens), device)?.broadcast_mul(&inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lanes::LANES, preset::Preset};

    #[test]
    fn only_the_chosen_tokens_lanes_and_pixels_move() {
        let mask = Mask::new(4, 4, (0..16).map(|i| i % 4 < 2).collect());
        let regularise = Preset::paper().edit.unwrap().regularise.unwrap();
        let bias = Bias::new(&mask, &regularise, &[0, 5, 76], &[3], 77).unwrap();
        let values: Vec<Vec<Vec<f32>>> = bias
            .at((2, 2), Rect::whole((2, 2)), &LANES, &Device::Cpu)
            .unwrap()
            .squeeze(1)
            .unwrap()
            .to_vec3()
            .unwrap();
        for (lane, rows) in values.iter().enumerate() {
            for (pixel, row) in rows.iter().enumerate() {
                for (token, value) in row.iter().enumerate() {
                    let moved = lane == 0 && pixel % 2 == 0 && [0, 5, 76].contains(&token);
                    assert_eq!(
                        *value,
                        if moved { -1e4 } else { 0.0 },
                        "{lane} {pixel} {token}"
                    );
                }
            }
        }
        let all = Regularise {
            mode: Mode::Reward,
            strength: 2.0,
            lanes: Biased::All,
            ..regularise
        };
        let bias = Bias::new(&mask, &all, &[0], &[3], 77).unwrap();
        let sum = bias
            .at((4, 4), Rect::whole((4, 4)), &LANES, &Device::Cpu)
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        assert_eq!(sum, 3.0 * 8.0 * 2.0);
        assert!(Bias::new(&mask, &all, &[0], &[], 77).is_none());
    }
}
