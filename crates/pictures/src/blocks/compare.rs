//! Two JPEGs, block by block.

use image::GrayImage;

use super::coded::{Coded, Colors, Component};
use super::cover::{Grid, reaches};

/// What was found in the blocks that a matte does not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Blocks of all components that the matte reaches.
    pub(crate) touched: u64,
    /// Blocks of all components that it does not reach.
    pub(crate) untouched: u64,
    /// Those of them with a coefficient that differs.
    pub(crate) changed: u64,
}

/// Compares two files by the coefficients of the blocks that `matte`, which lies as they are stored, does not reach. None where
/// they have no blocks in common: one is not read as coefficients, or tables, sampling, colors or size differ. A gray picture and
/// one of colors are alike as far as the other has none.
pub(crate) fn compare(input: &[u8], result: &[u8], matte: &GrayImage) -> Option<Comparison> {
    let size = matte.dimensions();
    let (mut input, mut result) = (
        Coded::read(input, size).ok()?,
        Coded::read(result, size).ok()?,
    );
    // Only its tables and blocks say how a gray picture was coded.
    let gray = |component: &Component| (component.blocks, component.table);
    match (input.colors, result.colors) {
        (Colors::Gray, Colors::Gray | Colors::YCbCr) => {
            let ours = gray(&input.components[0]);
            if result.components.iter().any(|theirs| gray(theirs) != ours) {
                return None;
            }
            if result.colors == Colors::YCbCr {
                input.add_color().ok()?;
            }
        }
        _ if (input.colors, &input.components) != (result.colors, &result.components) => {
            return None;
        }
        _ => {}
    }
    let mut found = Comparison::default();
    for (index, component) in input.components.clone().iter().enumerate() {
        let grid = Grid::new(&input, component);
        for row in 0..component.blocks.1 {
            let (ours, theirs) = (input.row(index, row).ok()?, result.row(index, row).ok()?);
            for (column, (one, other)) in (0..).zip(ours.iter().zip(theirs.iter())) {
                if reaches(matte, &grid.block(column, row)) {
                    found.touched += 1;
                } else {
                    found.untouched += 1;
                    found.changed += u64::from(one != other);
                }
            }
        }
    }
    Some(found)
}
