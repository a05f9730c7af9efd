//! Where a user says that an edit is to be.

use std::str::FromStr;

use clap::Args;
use limekiln_jobs::EditId;

/// Of `submit` and of `session edit`. Of several, what any of them says.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Region")]
pub(crate) struct RegionArgs {
    /// Edit these segments, by the numbers that `limekiln segments` lists: 3,7
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        conflicts_with = "mask"
    )]
    pub(crate) segments: Vec<u32>,

    /// Edit the segment under this pixel of the picture; may be given several times
    #[arg(long, value_name = "X,Y", conflicts_with = "mask")]
    pub(crate) point: Vec<Point>,

    /// Edit the region of this earlier edit of the picture
    #[arg(long, value_name = "EDIT", conflicts_with = "mask")]
    pub(crate) region_of: Vec<EditId>,

    /// Leave out the segment under this pixel; may be given several times
    #[arg(long, value_name = "X,Y", conflicts_with = "mask")]
    pub(crate) except_point: Vec<Point>,
}

/// A pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point(pub(crate) [u32; 2]);

impl RegionArgs {
    /// Whether any region is named.
    pub(crate) fn is_given(&self) -> bool {
        !self.segments.is_empty() || !self.point.is_empty() || !self.region_of.is_empty()
    }
}

impl FromStr for Point {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let says =
            "must be two whole numbers, such as 120,340: pixels from the left and from the top";
        let (x, y) = text.split_once(',').ok_or(says)?;
        let side = |text: &str| text.trim().parse().map_err(|_| says);
        Ok(Self([side(x)?, side(y)?]))
    }
}
