//! What stage 1 has found.

use limekiln_pictures::Mask;

use crate::{
    preset::Locate,
    roi::{Map, Segments},
};

/// What stage 1 has found so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Located {
    pub(crate) segments: Option<Segments>,
    /// Of the clustering behind the segments.
    pub(crate) inertia: Option<f64>,
    pub(crate) map: Option<Map>,
    /// The region of interest. The user's mask, where there is one.
    pub(crate) roi: Option<Mask>,
}

impl Located {
    /// The segments alone.
    pub(crate) fn segmented(&self) -> Self {
        Self {
            segments: self.segments.clone(),
            inertia: self.inertia,
            ..Self::default()
        }
    }

    /// Whether its segments are such as `locate` makes.
    pub(crate) fn fits_segments(&self, locate: &Locate) -> bool {
        self.segments.as_ref().is_some_and(|segments| {
            let clusters = locate.segments.clusters;
            segments.side == locate.grid
                && segments.clusters == clusters
                && segments.labels.len() == locate.grid.pow(2)
                && segments
                    .labels
                    .iter()
                    .all(|label| usize::from(*label) < clusters)
        })
    }

    /// Whether it is all that `locate` finds.
    pub(crate) fn fits_region(&self, locate: &Locate) -> bool {
        let map = self
            .map
            .as_ref()
            .is_some_and(|map| map.side == locate.grid && map.values.len() == locate.grid.pow(2));
        let roi = self
            .roi
            .as_ref()
            .is_some_and(|roi| (roi.width(), roi.height()) == (locate.grid, locate.grid));
        map && roi && (!locate.segmented() || self.fits_segments(locate))
    }
}
