//! Attention by tiles, some keys at a time: scores never leave the first two caches.

use candle_core::{Result, Tensor};
use half::bf16;

use super::block::{Block, Left, SIDE, STEP, TILE};
use super::line::{LINE, Line};
use super::memory::{Values, unit_last};
use super::packed::steps;
use super::path::Path;
use super::softmax::{Softmax, add_scaled, divided};
use crate::kernels::backend::Attended;
use crate::kernels::cpu::memory::each;

/// Panels of keys that are scored at once: 256 keys, whose scores for 32 queries fill 32 kilobytes.
const PANELS: usize = 8;

/// Most queries that share one packing of keys and values.
const QUERIES: usize = 2048;

/// One head of one tensor: its vectors lie `stride` apart.
#[derive(Clone, Copy)]
struct Head<'a> {
    values: &'a [bf16],
    stride: usize,
    count: usize,
    width: usize,
}

impl<'a> Head<'a> {
    fn new(
        values: &'a [bf16],
        start: usize,
        (stride, count, width): (usize, usize, usize),
    ) -> Self {
        Self {
            values: &values[start..],
            stride,
            count,
            width,
        }
    }

    fn vector(&self, i: usize) -> &[bf16] {
        &self.values[i * self.stride..][..self.width]
    }

    /// As a left operand: `lines[step * count + vector]`.
    fn rows(&self, first: usize, count: usize) -> Vec<Line> {
        let mut lines = vec![Line::ZERO; steps(self.width) * count];
        for i in 0..count {
            for (step, part) in self.vector(first + i).chunks(LINE).enumerate() {
                lines[step * count + i].0[..part.len()].copy_from_slice(part);
            }
        }
        lines
    }

    /// As panels whose columns are the vectors: weights of a product with all of them.
    fn columns(&self) -> Vec<Line> {
        let panel = steps(self.width) * STEP;
        let mut lines = vec![Line::ZERO; self.count.div_ceil(SIDE) * panel];
        for i in 0..self.count {
            let (panel, column) = (i / SIDE * panel, i % SIDE);
            for (pair, values) in self.vector(i).chunks(2).enumerate() {
                let line = panel + pair / TILE * STEP + column / TILE * TILE + pair % TILE;
                lines[line].0[2 * (column % TILE)..][..values.len()].copy_from_slice(values);
            }
        }
        lines
    }

    /// As panels whose inputs are the vectors: weights of a sum of them. Panel by panel of 32 values.
    fn inputs(&self) -> Vec<Line> {
        let panel = steps(self.count) * STEP;
        let mut lines = vec![Line::ZERO; self.width.div_ceil(SIDE) * panel];
        for i in 0..self.count {
            for (column, part) in self.vector(i).chunks(TILE).enumerate() {
                let line = column / 2 * panel + i / LINE * STEP + column % 2 * TILE + i % LINE / 2;
                for (place, &value) in lines[line].0[i % 2..].iter_mut().step_by(2).zip(part) {
                    *place = value;
                }
            }
        }
        lines
    }
}

/// `softmax(q k^T / sqrt(channels / heads)) v`; see [`Backend::attend`](crate::kernels::Backend::attend).
pub(super) fn attention(
    path: Path,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
) -> Result<Attended> {
    let (rows, queries, channels) = q.dims3()?;
    let (keys, width) = (k.dim(1)?, channels / heads);
    let (q, k, v) = (unit_last(q)?, unit_last(k)?, unit_last(v)?);
    let strides = |x: &Tensor| (x.stride()[0], x.stride()[1]);
    let (query, key, value) = (Values::of(&q)?, Values::of(&k)?, Values::of(&v)?);
    let (query, key, value): (&[bf16], &[bf16], &[bf16]) = (&query, &key, &value);
    let mut out = vec![bf16::ZERO; rows * queries * channels];
    let mut work = Vec::new();
    for row in 0..rows {
        for head in 0..heads {
            for first in (0..queries).step_by(QUERIES) {
                work.push((row, head, first, QUERIES.min(queries - first)));
            }
        }
    }
    let (q_strides, k_strides, v_strides) = (strides(&q), strides(&k), strides(&v));
    let cost = rows * queries * keys * channels / 8;
    let parts = each(work, cost, |(row, head, first, count)| {
        let cut = |values, (row_stride, stride): (usize, usize), count| {
            Head::new(
                values,
                row * row_stride + head * width,
                (stride, count, width),
            )
        };
        let q = cut(query, q_strides, queries);
        let (k, v) = (cut(key, k_strides, keys), cut(value, v_strides, keys));
        let values = attend(path, &q, &k, &v, (first, count));
        (row * queries + first, head * width, values)
    });
    for (first, column, values) in parts {
        for (i, values) in values.chunks_exact(width).enumerate() {
            out[(first + i) * channels + column..][..width].copy_from_slice(values);
        }
    }
    Ok(Attended {
        values: Tensor::from_vec(out, (rows, queries, channels), q.device())?,
        probabilities: None,
    })
}

/// Some queries of one head: `[count, width]`.
fn attend(
    path: Path,
    q: &Head<'_>,
    k: &Head<'_>,
    v: &Head<'_>,
    (first, count): (usize, usize),
) -> Vec<bf16> {
    let width = q.width;
    let (queried, keyed, valued) = (q.rows(first, count), k.columns(), v.inputs());
    let (key_panel, value_panel) = (steps(width) * STEP, steps(k.count) * STEP);
    let panels = k.count.div_ceil(SIDE);
    let mut softmax = Softmax::new(width);
    let mut scores: Vec<Block> = (0..PANELS).map(|_| Block::ZERO).collect();
    let mut weights = vec![Line::ZERO; PANELS * SIDE];
    let mut sums: Vec<Block> = (0..width.div_ceil(SIDE)).map(|_| Block::ZERO).collect();
    let mut product = Block::ZERO;
    let mut out = vec![bf16::ZERO; count * width];
    let session = path.open();
    for (i, out) in out.chunks_mut(SIDE * width).enumerate() {
        let (start, rows) = (i * SIDE, out.len() / width);
        let rows = [rows.min(TILE), rows.saturating_sub(TILE)];
        softmax.restart();
        for sum in &mut sums {
            sum.0.fill(0.0);
        }
        let left = Left {
            lines: &queried,
            starts: [start, start + TILE],
            rows,
            taps: &[0],
            step: count,
            steps: steps(width),
        };
        for chunk in (0..panels).step_by(PANELS) {
            let some = PANELS.min(panels - chunk);
            for (panel, scores) in scores[..some].iter_mut().enumerate() {
                session.product(&left, &keyed[(chunk + panel) * key_panel..], scores);
            }
            let keys = (k.count - chunk * SIDE).min(some * SIDE);
            softmax.weigh(&scores[..some], keys, &mut weights);
            let left = Left {
                lines: &weights,
                starts: [0, TILE],
                rows,
                taps: &[0],
                step: SIDE,
                steps: some,
            };
            for (panel, sum) in sums.iter_mut().enumerate() {
                let values = &valued[panel * value_panel + chunk * STEP..];
                session.product(&left, values, &mut product);
                add_scaled(&mut sum.0, &product.0, &softmax.factors);
            }
        }
        divided(out, width, &sums, &softmax.totals);
    }
    out
}
