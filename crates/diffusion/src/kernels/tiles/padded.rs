//! A convolution's input with zeros around it, in lines of 32 channels, normalised or resized on the way.

use std::ops::Range;

use half::bf16;

use super::block::TILE;
use super::line::{LINE, Line, narrow, wide};
use super::packed::steps;
use super::work::{BAND, Band, Shape, Tile};
use crate::kernels::cpu::simd::{silu, simd};

/// A pixel outside the map.
const OUTSIDE: usize = usize::MAX;

/// Fewest output points of a band that is cut for the sake of more threads.
const LEAST: usize = 128;

/// Channels, and (height, width) of the maps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) channels: usize,
    pub(super) input: (usize, usize),
    pub(super) resized: (usize, usize),
    pub(super) out: (usize, usize),
}

/// How a map is laid out. With a stride of 1 all taps share one map, whose lines they read further to the right or below; else
/// each tap has a map of its own, of just the pixels that it reads.
#[derive(Debug)]
pub(super) struct Padded {
    size: Size,
    kernel: usize,
    stride: usize,
    first: usize,
    /// Pixels of a line of the map.
    width: usize,
    /// Per map, the input's column of each of its pixels.
    columns: Vec<Vec<usize>>,
}

impl Padded {
    /// For a kernel, its stride, the zeros before each line and column, and those around them.
    pub(super) fn new(
        size: Size,
        (kernel, stride, first, around): (usize, usize, usize, usize),
    ) -> Self {
        let shared = stride == 1;
        let width = match shared {
            true => size.resized.1 + around,
            false => size.out.1,
        };
        let columns = (0..if shared { 1 } else { kernel })
            .map(|tap| {
                (0..width)
                    .map(|x| source(x * stride + tap, first, size.resized.1, size.input.1))
                    .collect()
            })
            .collect();
        Self {
            size,
            kernel,
            stride,
            first,
            width,
            columns,
        }
    }

    /// Lines of the output that one band has: what fits the cache, and two bands or more for each thread.
    pub(super) fn lines_per_band(&self, rows: usize) -> usize {
        let (height, width) = self.size.out;
        let copies = self.columns.len().pow(2);
        let line = self.width * steps(self.size.channels) * copies;
        let more = if copies == 1 { self.kernel - 1 } else { 0 };
        let fits = (BAND / line).saturating_sub(more).max(1);
        let shared = (rows * height).div_ceil(2 * rayon::current_num_threads());
        let lines = fits.min(shared.max(LEAST.div_ceil(width))).min(height);
        // Bands of one size.
        height.div_ceil(height.div_ceil(lines))
    }

    /// Lines of one map for so many lines of the output.
    fn height(&self, lines: usize) -> usize {
        if self.stride == 1 {
            lines + self.kernel - 1
        } else {
            lines
        }
    }

    /// See [`Shape`].
    pub(super) fn shape(&self, band: &Band) -> Shape {
        let out_width = self.size.out.1;
        let lines = band.count / out_width;
        let map = self.height(lines) * self.width;
        let kernel = self.kernel;
        let taps: Vec<usize> = (0..kernel * kernel)
            .map(|tap| match self.stride {
                1 => tap / kernel * self.width + tap % kernel,
                _ => tap * map,
            })
            .collect();
        let maps = self.columns.len().pow(2);
        // Tiles within lines, or across them with what lies between skipped: whichever takes fewer.
        let across = ((lines - 1) * self.width + out_width).div_ceil(TILE);
        let tiles = if across < lines * out_width.div_ceil(TILE) {
            let end = (lines - 1) * self.width + out_width;
            let point = |at: usize| {
                let (y, x) = (at / self.width, at % self.width);
                (x < out_width).then_some(y * out_width + x)
            };
            (0..end)
                .step_by(TILE)
                .map(|start| Tile::new(start, TILE.min(end - start), |i| point(start + i)))
                .collect()
        } else {
            let starts = (0..lines).flat_map(|y| (0..out_width).step_by(TILE).map(move |x| (y, x)));
            starts
                .map(|(y, x)| {
                    let rows = TILE.min(out_width - x);
                    Tile::new(y * self.width + x, rows, |i| Some(y * out_width + x + i))
                })
                .collect()
        };
        Shape {
            step: map * maps,
            taps,
            tiles,
        }
    }

    /// Fills a band's maps from `[height, width, channels]`.
    pub(super) fn fill(
        &self,
        band: &Band,
        input: &[bf16],
        affine: Option<(&[f32], &[f32])>,
        out: &mut [Line],
    ) {
        let Size {
            channels,
            input: (in_height, in_width),
            resized,
            out: (_, out_width),
        } = self.size;
        let (top, lines) = (band.first / out_width, band.count / out_width);
        let height = self.height(lines);
        let maps = self.columns.len();
        for (step, out) in out
            .chunks_exact_mut(maps * maps * height * self.width)
            .enumerate()
        {
            let first = step * LINE;
            let some = LINE.min(channels - first);
            for (map, out) in out.chunks_exact_mut(height * self.width).enumerate() {
                let columns = &self.columns[map % maps];
                for (y, out) in out.chunks_exact_mut(self.width).enumerate() {
                    let y = (top + y) * self.stride + map / maps;
                    let y = source(y, self.first, resized.0, in_height);
                    if y == OUTSIDE {
                        out.fill(Line::ZERO);
                        continue;
                    }
                    let line = &input[y * in_width * channels..][..in_width * channels];
                    match affine {
                        None => copy(out, columns, line, channels, first..first + some),
                        Some((scale, shift)) => {
                            let (mut by, mut plus) = ([0f32; LINE], [0f32; LINE]);
                            by[..some].copy_from_slice(&scale[first..first + some]);
                            plus[..some].copy_from_slice(&shift[first..first + some]);
                            normalise(out, columns, line, (channels, first), (&by, &plus));
                        }
                    }
                }
            }
        }
    }
}

/// Which of `input` lines the padded line `at` of `resized` ones shows.
fn source(at: usize, first: usize, resized: usize, input: usize) -> usize {
    match at.checked_sub(first) {
        Some(at) if at < resized => at * input / resized,
        _ => OUTSIDE,
    }
}

simd! {
    fn copy(out: &mut [Line], columns: &[usize], line: &[bf16], channels: usize, which: Range<usize>) {
        let (first, some) = (which.start, which.len());
        for (out, &x) in out.iter_mut().zip(columns) {
            if x == OUTSIDE {
                *out = Line::ZERO;
                continue;
            }
            let pixel = &line[x * channels + first..][..some];
            if let Ok(pixel) = <[bf16; LINE]>::try_from(pixel) {
                out.0 = pixel;
            } else {
                *out = Line::ZERO;
                out.0[..some].copy_from_slice(pixel);
            }
        }
    }
}

simd! {
    /// `silu(x * scale + shift)`. What lies beyond the channels is multiplied with zeros: silu(0) is 0.
    fn normalise(
        out: &mut [Line],
        columns: &[usize],
        line: &[bf16],
        place: (usize, usize),
        affine: (&[f32; LINE], &[f32; LINE]),
    ) {
        let ((channels, first), (scale, shift)) = (place, affine);
        for (out, &x) in out.iter_mut().zip(columns) {
            if x == OUTSIDE {
                *out = Line::ZERO;
                continue;
            }
            let pixel = &line[x * channels + first..(x + 1) * channels];
            let mut whole = [bf16::ZERO; LINE];
            let pixel = match pixel.first_chunk::<LINE>() {
                Some(pixel) => pixel,
                None => {
                    whole[..pixel.len()].copy_from_slice(pixel);
                    &whole
                }
            };
            for (((out, &x), &scale), &shift) in out.0.iter_mut().zip(pixel).zip(scale).zip(shift) {
                *out = narrow(silu(wide(x) * scale + shift));
            }
        }
    }
}
