//! How much of what edits cost a worker takes on.
//!
//! ```
//! # use limekiln_jobs::{Cost, api::ModelLimits};
//! let limits = ModelLimits { size: 128, size_max: 512, rows_max: 1200, distances_max: 1 << 30 };
//! let cost = Cost { rows: 300, distances: 0 };
//! assert!(limits.check(cost, Some(256)).is_ok());
//! assert_eq!(limits.check(cost, Some(512)).unwrap_err().field, "options");
//! assert_eq!(limits.check(cost, Some(640)).unwrap_err().field, "size");
//! ```

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Invalid;
use crate::cost::Cost;

/// What the edits of a model may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelLimits {
    /// Longer side in pixels that an edit works at which names none.
    #[schema(example = 512)]
    pub size: u32,
    /// Largest `size` that an edit may name.
    #[schema(example = 1024)]
    pub size_max: u32,
    /// Most rows of the network's batch (lanes times steps, over both stages) of an edit at `size`. At another size rows count
    /// by the area.
    #[schema(example = 1200)]
    pub rows_max: u64,
    /// Most distances that clustering may compute: pixels of the grid, times clusters, starts and rounds.
    #[schema(example = 1_073_741_824)]
    pub distances_max: u64,
}

impl ModelLimits {
    /// What both allow.
    pub fn least(self, other: Self) -> Self {
        Self {
            size: self.size.max(other.size),
            size_max: self.size_max.min(other.size_max),
            rows_max: self.rows_max.min(other.rows_max),
            distances_max: self.distances_max.min(other.distances_max),
        }
    }

    /// Checks an edit of this cost that names this size.
    ///
    /// # Errors
    ///
    /// The field that asks for too much, with the bound and what to lower.
    pub fn check(&self, cost: Cost, size: Option<u32>) -> Result<(), Invalid> {
        let asked = size.unwrap_or(self.size);
        if asked > self.size_max.max(self.size) {
            let message = format!(
                "must be at most {} on this model, not {asked}: it works at {} by default",
                self.size_max, self.size
            );
            return Err(Invalid::new("size", message));
        }
        let area = |side: u32| u128::from(side).pow(2);
        let rows = (u128::from(cost.rows) * area(asked)).div_ceil(area(self.size.max(1)));
        if rows > u128::from(self.rows_max) {
            let smaller = match size {
                Some(size) if size > self.size => ", or `size`",
                _ => "",
            };
            let message = format!(
                "cost {rows} rows of the network (lanes times steps, at size {}), and at most {} are taken: lower `edit.steps` or \
                 `locate.steps`{smaller}",
                self.size, self.rows_max
            );
            return Err(Invalid::new("options", message));
        }
        if cost.distances > self.distances_max {
            let message = format!(
                "cost {} distances in clustering, and at most {} are taken: lower `locate.grid`, or `clusters`, `starts` or \
                 `rounds` of `locate.segments`",
                cost.distances, self.distances_max
            );
            return Err(Invalid::new("options", message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_too_much_is_named_with_its_bound() {
        let limits = ModelLimits {
            size: 100,
            size_max: 400,
            rows_max: 1000,
            distances_max: 50,
        };
        let refused = |rows, distances, size| {
            let error = limits.check(Cost { rows, distances }, size).unwrap_err();
            error.to_string()
        };
        assert!(refused(1, 1, Some(401)).contains("at most 400"));
        assert!(refused(1001, 1, None).contains("1001 rows"));
        let larger = refused(251, 1, Some(200));
        assert!(
            larger.contains("1004 rows") && larger.contains("or `size`"),
            "{larger}"
        );
        assert!(refused(1, 51, None).contains("at most 50"));
        for (rows, size) in [(1000, None), (250, Some(200)), (4000, Some(50))] {
            let cost = Cost {
                rows,
                distances: 50,
            };
            assert_eq!(limits.check(cost, size), Ok(()));
        }
        let other = ModelLimits {
            size_max: 200,
            rows_max: 5000,
            ..limits
        };
        assert_eq!(
            limits.least(other),
            ModelLimits {
                size_max: 200,
                ..limits
            }
        );
    }
}
