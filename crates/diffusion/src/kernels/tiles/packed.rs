//! Weights as blocks read them: 32 outputs a panel, in it one step of 32 inputs after the other, tap by tap.

use half::bf16;
use rayon::prelude::*;

use super::block::{SIDE, STEP, TILE};
use super::line::{LINE, Line};

/// A layer's weights.
#[derive(Debug)]
pub(super) struct Packed {
    lines: Vec<Line>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) taps: usize,
}

impl Packed {
    /// From `[outputs, inputs, taps]`.
    pub(super) fn new(weight: &[bf16], (outputs, inputs, taps): (usize, usize, usize)) -> Self {
        let steps = steps(inputs);
        let panel = taps * steps * STEP;
        let mut lines = vec![Line::ZERO; outputs.div_ceil(SIDE) * panel];
        let work = lines.par_chunks_mut(panel).enumerate();
        work.for_each(|(i, lines)| {
            for column in 0..SIDE.min(outputs - i * SIDE) {
                let weight = &weight[(i * SIDE + column) * inputs * taps..][..inputs * taps];
                for (input, taps) in weight.chunks_exact(taps).enumerate() {
                    let line = input / LINE * STEP + column / TILE * TILE + input % LINE / 2;
                    let place = 2 * (column % TILE) + input % 2;
                    for (tap, &value) in taps.iter().enumerate() {
                        lines[tap * steps * STEP + line].0[place] = value;
                    }
                }
            }
        });
        Self {
            lines,
            inputs,
            outputs,
            taps,
        }
    }

    /// How many panels there are.
    pub(super) fn panels(&self) -> usize {
        self.outputs.div_ceil(SIDE)
    }

    /// Steps of 32 inputs of each tap.
    pub(super) fn steps(&self) -> usize {
        steps(self.inputs)
    }

    /// Panel `i`.
    pub(super) fn panel(&self, i: usize) -> &[Line] {
        let panel = self.taps * self.steps() * STEP;
        &self.lines[i * panel..][..panel]
    }
}

/// Steps that so many inputs take.
pub(super) fn steps(inputs: usize) -> usize {
    inputs.div_ceil(LINE)
}
