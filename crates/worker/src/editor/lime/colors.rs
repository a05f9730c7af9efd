//! Latents as small pictures, without the slow decoder: the color of a latent pixel is nearly a linear function of its
//! channels, which least squares finds on a picture whose latents are known.

use candle_core::{DType, Tensor};
use image::{Rgb, RgbImage};
use limekiln_diffusion::model::Model;
use limekiln_diffusion::picture;
use limekiln_pictures::encode;

use crate::editor::contract::BoxError;

/// Side of the picture that the colors are learned from, in latent pixels.
const SIDE: u32 = 32;
/// Side of one patch of color in it, in latent pixels.
const PATCH: u32 = 4;
/// Weight of the ridge penalty, relative to the latents' mean power, so that channels without color get no coefficient.
const RIDGE: f64 = 1e-3;
/// Side of a preview, in pixels, at most.
const PREVIEW_PX: u32 = 96;
/// Bytes of a preview, at most.
const PREVIEW_BYTES: usize = 4096;

/// A linear function from a latent pixel's channels to each of red, green and blue; the constant is last.
#[derive(Clone, Debug)]
pub(super) struct Colors {
    factors: [Vec<f64>; 3],
    scaling: f64,
}

impl Colors {
    /// Fits the functions to a picture of many colors and its latents.
    ///
    /// # Errors
    ///
    /// When the picture can't be encoded, or the latents don't depend on color.
    pub(super) fn fit(model: &Model) -> Result<Self, BoxError> {
        let factor = u32::try_from(model.factor())?;
        let picture = patches(factor);
        let pixels = picture::to_tensor(&picture, &model.device)?.to_dtype(model.dtype)?;
        let latents = planes(&model.vae.encode_mode(&pixels)?)?;
        let unknowns = latents.len() + 1;
        // Normal equations, `[unknowns][unknowns + 3]`: inputs by inputs, then inputs by colors.
        let mut rows = vec![vec![0f64; unknowns + 3]; unknowns];
        for y in 0..SIDE {
            for x in 0..SIDE {
                let at = (y * SIDE + x) as usize;
                let color = mean(&picture, x * factor, y * factor, factor);
                let input = |i: usize| latents.get(i).map_or(1.0, |plane| f64::from(plane[at]));
                for (i, row) in rows.iter_mut().enumerate() {
                    for (j, sum) in row.iter_mut().enumerate().take(unknowns) {
                        *sum += input(i) * input(j);
                    }
                    for channel in 0..3 {
                        row[unknowns + channel] += input(i) * color[channel];
                    }
                }
            }
        }
        let power =
            (0..unknowns - 1).map(|i| rows[i][i]).sum::<f64>() / latents.len().max(1) as f64;
        for (i, row) in rows.iter_mut().enumerate().take(unknowns - 1) {
            row[i] += RIDGE * power;
        }
        let factors = solve(rows).ok_or("the model's latents have no colors")?;
        Ok(Self {
            factors,
            scaling: model.vae.config().scaling_factor,
        })
    }

    /// A JPEG of latents `[1, channels, h, w]` as the scheduler has them; none where it doesn't fit 4 KB.
    pub(super) fn preview(&self, latents: &Tensor) -> Result<Option<Vec<u8>>, BoxError> {
        let (_, _, height, width) = latents.dims4()?;
        let planes = planes(&(latents / self.scaling)?)?;
        let picture = RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let at = y as usize * width + x as usize;
            Rgb([0, 1, 2].map(|channel: usize| {
                let factors = &self.factors[channel];
                let sum: f64 = planes
                    .iter()
                    .zip(factors)
                    .map(|(plane, factor)| f64::from(plane[at]) * factor)
                    .sum();
                (sum + factors[factors.len() - 1]).round().clamp(0.0, 255.0) as u8
            }))
        });
        Ok(encode::preview(&picture, PREVIEW_PX, PREVIEW_BYTES)?)
    }
}

/// A picture of square patches whose colors are spread over the whole cube of colors.
fn patches(factor: u32) -> RgbImage {
    let per_row = SIDE / PATCH;
    RgbImage::from_fn(SIDE * factor, SIDE * factor, |x, y| {
        let index = y / (PATCH * factor) * per_row + x / (PATCH * factor);
        // Roberts' R3 sequence: multiples of the powers of 1/1.2207, evenly spread over the cube.
        let share = |step: f64| (f64::from(index + 1) * step).fract();
        Rgb([0.819_172_513, 0.671_043_607, 0.549_700_478].map(|step| (share(step) * 255.0) as u8))
    })
}

fn mean(picture: &RgbImage, left: u32, top: u32, side: u32) -> [f64; 3] {
    let mut sums = [0f64; 3];
    for y in top..top + side {
        for x in left..left + side {
            for (sum, value) in sums.iter_mut().zip(picture.get_pixel(x, y).0) {
                *sum += f64::from(value);
            }
        }
    }
    sums.map(|sum| sum / f64::from(side * side))
}

/// Latents `[1, channels, h, w]` as one row of values per channel.
fn planes(latents: &Tensor) -> Result<Vec<Vec<f32>>, BoxError> {
    let latents = latents
        .to_dtype(DType::F32)?
        .squeeze(0)?
        .flatten_from(1)?
        .to_device(&candle_core::Device::Cpu)?;
    Ok(latents.to_vec2()?)
}

/// Solves linear equations, of which each row ends with three right-hand sides, by Gauss-Jordan elimination with partial
/// pivoting. None where they have no single solution.
fn solve(mut rows: Vec<Vec<f64>>) -> Option<[Vec<f64>; 3]> {
    let unknowns = rows.len();
    for column in 0..unknowns {
        let pivot = (column..unknowns)
            .max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        if rows[pivot][column].abs() < 1e-12 {
            return None;
        }
        rows.swap(column, pivot);
        let pivot = rows[column].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            let share = row[column] / pivot[column];
            if index != column {
                for (value, pivot) in row.iter_mut().zip(&pivot) {
                    *value -= share * pivot;
                }
            }
        }
    }
    let unknown = |row: usize, side: usize| rows[row][unknowns + side] / rows[row][row];
    Some([0, 1, 2].map(|side| (0..unknowns).map(|row| unknown(row, side)).collect()))
}

#[cfg(test)]
mod tests {
    use super::solve;

    #[test]
    fn equations_are_solved() {
        // x + 2y = 5, 3x - y = 1 and twice and thrice that.
        let rows = vec![
            vec![1.0, 2.0, 5.0, 10.0, 15.0],
            vec![3.0, -1.0, 1.0, 2.0, 3.0],
        ];
        for (times, solved) in (1..).zip(solve(rows).unwrap()) {
            assert!((solved[0] - f64::from(times)).abs() < 1e-9);
            assert!((solved[1] - 2.0 * f64::from(times)).abs() < 1e-9);
        }
        assert!(solve(vec![vec![0.0, 1.0, 1.0, 1.0]]).is_none());
    }
}
