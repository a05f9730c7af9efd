//! An edit's pixels in a JPEG's blocks.

use image::{GrayImage, RgbImage};

use super::coded::{Block, Coded, Colors, Component, Unusable};
use super::cover::{Area, Grid, reaches};
use super::dct::{Square, forward, inverse};

/// Greatest coefficient that 8-bit pictures are coded with.
const COEFFICIENT_MAX: f32 = 1023.0;

/// How many blocks a matte reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Blocks whose samples were replaced.
    pub touched: u64,
    /// Blocks that are the input's own.
    pub kept: u64,
}

/// Puts the pixels of `edited` where `matte` is not 0; both lie as the file is stored. Every other sample of a touched block
/// stays as the file has it, to the rounding of its coefficients; every other block stays to the bit. Says how
/// many of each component's were.
pub(super) fn replace(
    coded: &mut Coded<'_>,
    edited: &RgbImage,
    matte: &GrayImage,
) -> Result<Vec<Count>, Unusable> {
    let mut counts = Vec::new();
    for index in 0..coded.components.len() {
        let component = coded.components[index].clone();
        let (grid, colors) = (Grid::new(coded, &component), coded.colors);
        let (across, down) = component.blocks;
        let mut count = Count::default();
        for row in 0..down {
            let touched = (0..across).filter(|&column| reaches(matte, &grid.block(column, row)));
            let touched: Vec<u32> = touched.collect();
            count.kept += u64::from(across) - touched.len() as u64;
            count.touched += touched.len() as u64;
            if touched.is_empty() {
                continue;
            }
            let blocks = coded.row(index, row)?;
            for column in touched {
                let block = &mut blocks[column as usize];
                let mut samples = inverse(&multiplied(block, &component));
                for (i, sample) in samples.iter_mut().enumerate() {
                    let (x, y) = (column * 8 + i as u32 % 8, row * 8 + i as u32 / 8);
                    let area = grid.sample(x, y);
                    if reaches(matte, &area) {
                        *sample = mean(edited, &area, |pixel| value(pixel, colors, index)) - 128.0;
                    }
                }
                *block = divided(&forward(&samples), &component);
            }
        }
        counts.push(count);
    }
    Ok(counts)
}

/// A block by its samples.
#[cfg(test)]
pub(super) fn there_and_back(block: &Block, component: &Component) -> Block {
    divided(&forward(&inverse(&multiplied(block, component))), component)
}

fn multiplied(block: &Block, component: &Component) -> Square {
    std::array::from_fn(|i| f32::from(block[i]) * f32::from(component.table[i]))
}

fn divided(values: &Square, component: &Component) -> Block {
    std::array::from_fn(|i| {
        let value = values[i] / f32::from(component.table[i]);
        value.round().clamp(-COEFFICIENT_MAX, COEFFICIENT_MAX) as i16
    })
}

fn mean(picture: &RgbImage, area: &Area, value: impl Fn([f32; 3]) -> f32) -> f32 {
    let mut sum = 0.0;
    for y in area.y.clone() {
        for x in area.x.clone() {
            sum += value(picture.get_pixel(x, y).0.map(f32::from));
        }
    }
    sum / (area.x.len() * area.y.len()) as f32
}

/// A component of a pixel, by JFIF's equations.
fn value([r, g, b]: [f32; 3], colors: Colors, component: usize) -> f32 {
    match (colors, component) {
        (Colors::Rgb, 0) => r,
        (Colors::Rgb, 1) => g,
        (Colors::Rgb, _) => b,
        (Colors::Gray, _) | (Colors::YCbCr, 0) => 0.299 * r + 0.587 * g + 0.114 * b,
        (Colors::YCbCr, 1) => -0.168_735_9 * r - 0.331_264_1 * g + 0.5 * b + 128.0,
        (Colors::YCbCr, _) => 0.5 * r - 0.418_687_6 * g - 0.081_312_4 * b + 128.0,
    }
}
